use parking_lot::Mutex;

/// Buffers of requests that were sent, for those that follow: who asks is on another thread than who sends, and the
/// allocator would hand each from one to the other under a lock.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// How many are kept at most, and how much room each may have.
const MOST: usize = 128;
const LARGEST: usize = 4 * 1024;

impl Buffers {
    /// An empty buffer with room for so many bytes.
    pub(crate) fn take(&self, bytes: usize) -> Vec<u8> {
        let kept = if bytes <= LARGEST {
            self.0.lock().pop()
        } else {
            None
        };
        let mut buffer = kept.unwrap_or_default();
        buffer.reserve_exact(bytes);
        buffer
    }

    /// Keeps those of `spent` that are worth it.
    pub(crate) fn give(&self, spent: &mut Vec<Vec<u8>>) {
        spent.retain(|buffer| buffer.capacity() <= LARGEST);
        {
            let mut kept = self.0.lock();
            let room = MOST.saturating_sub(kept.len()).min(spent.len());
            kept.extend(spent.drain(..room).map(|mut buffer| {
                buffer.clear();
                buffer
            }));
        }
        spent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_with_the_room_that_is_wanted() {
        let buffers = Buffers::default();
        buffers.give(&mut vec![vec![1; 100]]);
        let buffer = buffers.take(1_000);
        assert!(buffer.is_empty() && buffer.capacity() >= 1_000);
        assert!(buffers.0.lock().is_empty());
    }

    #[test]
    fn neither_many_nor_large_buffers_are_kept() {
        let buffers = Buffers::default();
        buffers.give(&mut vec![Vec::with_capacity(LARGEST + 1)]);
        assert!(buffers.0.lock().is_empty());
        let mut many = vec![vec![0; 10]; 2 * MOST];
        buffers.give(&mut many);
        assert!(many.is_empty());
        assert_eq!(buffers.0.lock().len(), MOST);
    }
}
