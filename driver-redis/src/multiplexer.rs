use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::future::{self, Either};
use redis::Value;
use session_core::worker::{Pending, Reply, Ticket, ticket};
use session_core::{Error, ErrorKind, Outcome};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::buffers::Buffers;
use crate::decode::{Decoded, decode};
use crate::request::Request;
use crate::stream::Stream;

/// How many callers are answered before they get their turn to ask again. They keep the server busy while others are
/// answered; fewer would go out by more calls of the system. Nothing waits for others beyond that: where few ask at a
/// time, to hold their requests back until they go out together makes the server and the callers wait by turns.
const MOST_ANSWERED: usize = 16;

/// How many requests are taken from the queue at once.
const TAKEN: usize = 64;

/// How much waits to be written at most before more is taken from the queue.
const MOST_WAITING: usize = 256 * 1024;

/// Requests shorter than this are copied behind each other, so that they are written at once.
const SHORT: usize = 16 * 1024;

/// For how much room is made before a read, at least and at most, and how much of it is kept when all is given.
const READ: usize = 32 * 1024;
const LONGEST_READ: usize = 1024 * 1024;
const KEPT: usize = 256 * 1024;

/// A request in the queue, and the ticket of its caller.
struct Call {
    request: Request,
    ticket: Ticket<Vec<Value>>,
}

/// A caller whose request is being written or was written, and the replies that have arrived for it.
struct Waiting {
    left: usize,
    replies: Vec<Value>,
    caller: Reply<Vec<Value>>,
}

/// Why a call has no replies.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The connection ended before the request was written.
    NotWritten,
    /// The connection ended after the request was written, at least in part.
    Lost,
    /// The deadline passed. The error says whether the request was written.
    TimedOut(Error),
}

/// The end of a connection at which requests enter. No caller is forgotten: each waits for its replies, for the end of
/// the connection and for its deadline, and the first of them ends the wait.
pub(crate) struct Calls {
    queue: mpsc::Sender<Call>,
    /// Cancelled after the multiplexer was dropped with all that it had taken. A request can enter the queue even then,
    /// since its place was reserved before, and nobody would tell its caller.
    ended: CancellationToken,
}

impl Calls {
    /// Sends `request` and waits for its replies until `deadline`. `timeout` is what an error names.
    ///
    /// A request whose caller has gone, or whose deadline has passed, is not written.
    pub(crate) async fn send(
        &self,
        request: Request,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Vec<Value>, Unanswered> {
        let (pending, ticket) = ticket();
        let entering = self.queue.send(Call { request, ticket });
        match timeout_at(deadline, entering).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Unanswered::NotWritten),
            Err(_) => {
                let error = crate::error::no_answer(timeout);
                return Err(Unanswered::TimedOut(
                    error.with_outcome(Outcome::NotApplied),
                ));
            }
        }
        self.answer(pending, deadline, timeout).await
    }

    /// Waits for the replies to a request that has entered the queue.
    async fn answer(
        &self,
        pending: Pending<Vec<Value>>,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Vec<Value>, Unanswered> {
        let answer = pin!(pending.answer(deadline, timeout));
        let ended = pin!(self.ended.cancelled());
        // The answer is looked at first. What the multiplexer had taken when it ended has been told by then, so the other
        // side means that the request was never taken.
        match future::select(answer, ended).await {
            Either::Left((Ok(replies), _)) => Ok(replies),
            Either::Left((Err(error), _)) => Err(match (error.kind(), error.outcome()) {
                (ErrorKind::TimedOut, _) => Unanswered::TimedOut(error),
                (_, Outcome::NotApplied) => Unanswered::NotWritten,
                _ => Unanswered::Lost,
            }),
            Either::Right(_) => Err(Unanswered::NotWritten),
        }
    }
}

/// Writes the requests of all callers to one stream, behind each other, and gives the replies to those who wait for
/// them, in the same order.
///
/// As a future it ends with the stream, and tells why; or when there are no callers any more. Callers that still wait
/// are told when this is dropped.
pub(crate) struct Multiplexer {
    stream: Stream,
    calls: mpsc::Receiver<Call>,
    taken: Vec<Call>,
    /// The buffers of short requests, which are given back for others.
    spent: Vec<Vec<u8>>,
    buffers: Arc<Buffers>,
    /// An output that was written, for the next.
    spare: Vec<u8>,
    /// What is to be written, of which the first has been written up to `written`.
    output: VecDeque<Vec<u8>>,
    written: usize,
    is_flushed: bool,
    /// What was read and not yet given to callers; the next reply has `wanted` bytes at least.
    input: BytesMut,
    wanted: usize,
    waiting: VecDeque<Waiting>,
    /// The last field, so that it is dropped after all calls.
    _ended: DropGuard,
}

/// Why the stream ends where a reply came that nobody has asked for.
fn unasked(reply: &Value) -> io::Error {
    let (kind, message) = match reply {
        // What a server says that has as many clients as it takes.
        Value::ServerError(_) => (
            io::ErrorKind::ConnectionRefused,
            "the server turned the connection away",
        ),
        _ => (
            io::ErrorKind::InvalidData,
            "a reply came that nobody has asked for",
        ),
    };
    io::Error::new(kind, message)
}

/// How taking from the queue came to its end.
enum Taken {
    All,
    /// More is to be taken when some of the output is written.
    Enough,
    /// There are no callers any more.
    Closed,
}

impl Multiplexer {
    /// On `stream`, with a queue for so many calls, whose requests are in `buffers`.
    pub(crate) fn new(stream: Stream, queue: usize, buffers: Arc<Buffers>) -> (Calls, Self) {
        let (queue, calls) = mpsc::channel(queue);
        let ended = CancellationToken::new();
        let multiplexer = Self {
            stream,
            calls,
            taken: Vec::with_capacity(TAKEN),
            spent: Vec::with_capacity(TAKEN),
            buffers,
            spare: Vec::new(),
            output: VecDeque::new(),
            written: 0,
            is_flushed: true,
            input: BytesMut::new(),
            wanted: 1,
            waiting: VecDeque::new(),
            _ended: ended.clone().drop_guard(),
        };
        (Calls { queue, ended }, multiplexer)
    }

    /// Takes what waits in the queue.
    fn take(&mut self, context: &mut Context<'_>) -> Taken {
        loop {
            let waits: usize = self.output.iter().map(Vec::len).sum();
            if waits >= MOST_WAITING {
                return Taken::Enough;
            }
            match self.calls.poll_recv_many(context, &mut self.taken, TAKEN) {
                Poll::Pending => return Taken::All,
                Poll::Ready(0) => return Taken::Closed,
                Poll::Ready(_) => {}
            }
            for Call { request, ticket } in self.taken.drain(..) {
                // Without a caller it is not written.
                let Some(caller) = ticket.begin() else {
                    continue;
                };
                let left = request.commands();
                self.waiting.push_back(Waiting {
                    left,
                    replies: Vec::with_capacity(left),
                    caller,
                });
                let bytes = request.into_bytes();
                if bytes.len() >= SHORT {
                    self.output.push_back(bytes);
                    continue;
                }
                match self.output.back_mut() {
                    Some(last) if last.len() < SHORT => last.extend_from_slice(&bytes),
                    _ => {
                        let mut output = std::mem::take(&mut self.spare);
                        output.extend_from_slice(&bytes);
                        self.output.push_back(output);
                    }
                }
                self.spent.push(bytes);
            }
            self.buffers.give(&mut self.spent);
        }
    }

    /// Ready when all is written.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = self.output.front() {
            let rest = first.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                if let Some(mut written) = self.output.pop_front()
                    && written.capacity() <= KEPT
                {
                    written.clear();
                    self.spare = written;
                }
                self.written = 0;
                continue;
            }
            self.is_flushed = false;
            let count = ready!(self.stream.as_mut().poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        if !self.is_flushed {
            ready!(self.stream.as_mut().poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what there is and gives it to those who wait; ready when the stream has ended.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.give()? == MOST_ANSWERED {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.input.is_empty() && self.input.capacity() > KEPT {
                self.input = BytesMut::new();
            }
            let missing = self.wanted.saturating_sub(self.input.len());
            self.input.reserve(missing.clamp(READ, LONGEST_READ));
            let count = ready!(poll_read_buf(
                self.stream.as_mut(),
                context,
                &mut self.input
            ))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Gives replies that are there, and tells how many callers have all of theirs now.
    fn give(&mut self) -> io::Result<usize> {
        let mut answered = 0;
        while answered < MOST_ANSWERED && self.input.len() >= self.wanted {
            let reply = match decode(&self.input)? {
                Decoded::Reply(reply, length) => {
                    self.input.advance(length);
                    self.wanted = 1;
                    reply
                }
                Decoded::Incomplete(wanted) => {
                    self.wanted = wanted;
                    break;
                }
            };
            let Some(first) = self.waiting.front_mut() else {
                return Err(unasked(&reply));
            };
            first.replies.push(reply);
            first.left -= 1;
            if first.left == 0
                && let Some(first) = self.waiting.pop_front()
            {
                answered += 1;
                first.caller.send(first.replies);
            }
        }
        Ok(answered)
    }
}

impl Future for Multiplexer {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Both sides always go on, so that two that write to each other do not wait for ever.
        if let Poll::Ready(end) = this.poll_read(context) {
            return Poll::Ready(end);
        }
        loop {
            let taken = this.take(context);
            if matches!(taken, Taken::Closed) && this.waiting.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match this.poll_write(context) {
                Poll::Ready(Ok(())) if matches!(taken, Taken::Enough) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// For calls that are to time out.
    const SHORT: Duration = Duration::from_millis(50);

    /// A multiplexer at work, and the other end of its stream, with room for so much on the way.
    fn start(room: usize) -> (Arc<Calls>, DuplexStream, JoinHandle<io::Result<()>>) {
        let (near, far) = duplex(room);
        let (calls, multiplexer) = Multiplexer::new(Box::pin(near), 8, Arc::default());
        (Arc::new(calls), far, tokio::spawn(multiplexer))
    }

    fn request(words: &[&[u8]]) -> Request {
        let mut request = Request::default();
        request.add(words);
        request
    }

    type Answer = JoinHandle<Result<Vec<Value>, Unanswered>>;

    /// Sends `request`, and returns when it is in the queue.
    async fn send(calls: &Arc<Calls>, request: Request) -> Answer {
        send_within(TIMEOUT, calls, request).await
    }

    async fn send_within(timeout: Duration, calls: &Arc<Calls>, request: Request) -> Answer {
        let calls = Arc::clone(calls);
        let answer = tokio::spawn(async move {
            let deadline = Instant::now() + timeout;
            calls.send(request, deadline, timeout).await
        });
        tokio::task::yield_now().await;
        answer
    }

    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

    async fn is_asked(far: &mut DuplexStream, bytes: &[u8]) {
        let mut asked = vec![0; bytes.len()];
        far.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, bytes);
    }

    #[test_support::test]
    async fn each_caller_gets_its_own_replies_however_they_come() {
        let (calls, mut far, _work) = start(1024);
        let mut two = request(&[b"PING"]);
        two.add(&[b"PING"]);
        let first = send(&calls, two).await;
        let second = send(&calls, request(&[b"PING"])).await;
        is_asked(&mut far, &PING.repeat(3)).await;
        for byte in b":1\r\n$3\r\na\r\n\r\n-ERR no\r\n" {
            far.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let text = Value::BulkString(b"a\r\n".to_vec());
        assert_eq!(first.await.unwrap().unwrap(), [Value::Int(1), text]);
        let refused = second.await.unwrap().unwrap();
        assert!(matches!(refused.as_slice(), [Value::ServerError(_)]));
    }

    #[test_support::test]
    async fn two_sides_that_both_write_much_do_not_wait_for_each_other() {
        const LENGTH: usize = 1024 * 1024;
        let (calls, far, _work) = start(1000);
        let (mut reads, mut writes) = tokio::io::split(far);
        let value = vec![b'v'; LENGTH];
        // The other side reads only after it has written, as a server may whose output is full.
        let other = tokio::spawn(async move {
            let mut reply = format!("${LENGTH}\r\n").into_bytes();
            reply.extend(vec![b'r'; LENGTH]);
            reply.extend(b"\r\n+OK\r\n");
            writes.write_all(&reply).await.unwrap();
            let mut asked = vec![0; LENGTH];
            reads.read_exact(&mut asked).await.unwrap();
            (reads, writes)
        });
        let get = send(&calls, request(&[b"GET", b"k"])).await;
        let set = send(&calls, request(&[b"SET", b"k", &value])).await;
        let expected = [Value::BulkString(vec![b'r'; LENGTH])];
        assert!(get.await.unwrap().unwrap() == expected);
        assert_eq!(set.await.unwrap().unwrap(), [Value::Okay]);
        other.await.unwrap();
    }

    #[test_support::test]
    async fn a_request_whose_caller_has_gone_is_not_written() {
        let (near, mut far) = duplex(1024);
        let (calls, multiplexer) = Multiplexer::new(Box::pin(near), 8, Arc::default());
        let deadline = Instant::now() + TIMEOUT;
        let gone = calls.send(request(&[b"DEL", b"k"]), deadline, TIMEOUT);
        assert!(gone.now_or_never().is_none());
        let _stays = send(&Arc::new(calls), request(&[b"PING"])).await;
        let _work = tokio::spawn(multiplexer);
        is_asked(&mut far, PING).await;
    }

    #[test_support::test]
    async fn a_request_whose_deadline_has_passed_is_not_written() {
        let (near, mut far) = duplex(1024);
        let (calls, multiplexer) = Multiplexer::new(Box::pin(near), 8, Arc::default());
        let deadline = Instant::now() + SHORT;
        let late = calls.send(request(&[b"DEL", b"k"]), deadline, SHORT);
        match late.await.unwrap_err() {
            Unanswered::TimedOut(error) => assert_eq!(error.outcome(), Outcome::NotApplied),
            other => panic!("{other:?}"),
        }
        let _stays = send(&Arc::new(calls), request(&[b"PING"])).await;
        let _work = tokio::spawn(multiplexer);
        is_asked(&mut far, PING).await;
    }

    #[test_support::test]
    async fn a_request_that_was_written_may_have_been_carried_out_when_its_deadline_passes() {
        let (calls, _far, _work) = start(1024);
        let answer = send_within(SHORT, &calls, request(&[b"PING"])).await;
        match answer.await.unwrap().unwrap_err() {
            Unanswered::TimedOut(error) => assert_eq!(error.outcome(), Outcome::Unknown),
            other => panic!("{other:?}"),
        }
    }

    #[test_support::test]
    async fn a_full_queue_holds_a_caller_no_longer_than_its_deadline() {
        let (near, _far) = duplex(1024);
        let (calls, _idle) = Multiplexer::new(Box::pin(near), 1, Arc::default());
        let calls = Arc::new(calls);
        let _first = send(&calls, request(&[b"PING"])).await;
        let second = send_within(SHORT, &calls, request(&[b"PING"])).await;
        match second.await.unwrap().unwrap_err() {
            Unanswered::TimedOut(error) => assert_eq!(error.outcome(), Outcome::NotApplied),
            other => panic!("{other:?}"),
        }
    }

    #[test_support::test]
    async fn a_caller_that_goes_away_leaves_the_replies_of_others_where_they_are() {
        let (calls, mut far, _work) = start(1024);
        let gone = send(&calls, request(&[b"PING"])).await;
        let stays = send(&calls, request(&[b"PING"])).await;
        is_asked(&mut far, &PING.repeat(2)).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        far.write_all(b":1\r\n:2\r\n").await.unwrap();
        assert_eq!(stays.await.unwrap().unwrap(), [Value::Int(2)]);
    }

    #[test_support::test]
    async fn callers_are_told_when_the_stream_ends() {
        let (calls, mut far, work) = start(1024);
        let answer = send(&calls, request(&[b"PING"])).await;
        is_asked(&mut far, PING).await;
        drop(far);
        let lost = answer.await.unwrap();
        assert!(matches!(lost, Err(Unanswered::Lost)), "{lost:?}");
        let error = work.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let late = send(&calls, request(&[b"PING"])).await.await.unwrap();
        assert!(matches!(late, Err(Unanswered::NotWritten)), "{late:?}");
    }

    /// A caller on another thread may have its place in the queue, and push its request only after the queue was closed
    /// and emptied. Nobody takes the request any more.
    #[test_support::test]
    async fn a_caller_that_enters_the_queue_after_the_end_of_the_connection_is_told() {
        let (near, _far) = duplex(1024);
        let (calls, multiplexer) = Multiplexer::new(Box::pin(near), 8, Arc::default());
        let place = calls.queue.reserve().await.unwrap();
        drop(multiplexer);
        let (pending, ticket) = ticket();
        let request = request(&[b"DEL", b"k"]);
        place.send(Call { request, ticket });
        let deadline = Instant::now() + TIMEOUT;
        let told = calls.answer(pending, deadline, TIMEOUT).now_or_never();
        assert!(
            matches!(told, Some(Err(Unanswered::NotWritten))),
            "{told:?}"
        );
    }

    #[test_support::test]
    async fn a_reply_that_nobody_asked_for_ends_it() {
        let full = b"-ERR max number of clients reached\r\n".as_slice();
        for (reply, kind) in [
            (b"+OK\r\n".as_slice(), io::ErrorKind::InvalidData),
            (full, io::ErrorKind::ConnectionRefused),
        ] {
            let (_calls, mut far, work) = start(1024);
            far.write_all(reply).await.unwrap();
            let error = work.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), kind);
        }
    }

    #[test_support::test]
    async fn it_ends_with_its_last_caller() {
        let (calls, mut far, work) = start(1024);
        let answer = send(&calls, request(&[b"PING"])).await;
        drop(calls);
        is_asked(&mut far, PING).await;
        far.write_all(b"+PONG\r\n").await.unwrap();
        assert!(answer.await.unwrap().is_ok());
        assert!(work.await.unwrap().is_ok());
    }
}
