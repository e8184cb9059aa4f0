use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::error::ConnectError;

/// How long one is waited for before another is asked as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// The first good answer of several that are asked one after the other; one that is slow holds nobody up. If none is
/// good, the last bad one; `None` if there is nobody to ask.
pub(crate) async fn first_answer<T>(
    questions: impl ExactSizeIterator<Item = impl Future<Output = Result<T, ConnectError>>>,
) -> Option<Result<T, ConnectError>> {
    let mut questions = questions;
    let mut asked = FuturesUnordered::new();
    let mut trouble = None;
    loop {
        match questions.next() {
            Some(question) => asked.push(question),
            None if asked.is_empty() => return trouble.map(Err),
            None => {}
        }
        let patience = match questions.len() {
            0 => Duration::MAX,
            _ => HEAD_START,
        };
        if let Ok(Some(answer)) = tokio::time::timeout(patience, asked.next()).await {
            match answer {
                Ok(answer) => return Some(Ok(answer)),
                Err(error) => trouble = Some(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{self, FutureExt};
    use session_core::ErrorKind;

    use super::*;

    fn bad() -> Result<u8, ConnectError> {
        Err(ConnectError::new(ErrorKind::Unavailable, "no"))
    }

    #[test_support::test]
    async fn one_that_never_answers_holds_nobody_up() {
        let questions = vec![future::pending().boxed(), future::ready(Ok(1)).boxed()];
        let answer = first_answer(questions.into_iter()).await;
        assert!(matches!(answer, Some(Ok(1))));
    }

    #[test_support::test]
    async fn a_bad_answer_counts_if_there_is_no_good_one() {
        let questions = vec![future::ready(bad()), future::ready(Ok(2))];
        assert!(matches!(
            first_answer(questions.into_iter()).await,
            Some(Ok(2))
        ));
        let questions = vec![future::ready(bad()), future::ready(bad())];
        assert!(matches!(
            first_answer(questions.into_iter()).await,
            Some(Err(_))
        ));
        let nobody = Vec::<future::Ready<Result<u8, ConnectError>>>::new();
        assert!(first_answer(nobody.into_iter()).await.is_none());
    }
}
