//! The bounds of the work of reading.

#[path = "../tests/worst/mod.rs"]
mod worst;

#[test]
fn the_work_of_reading_is_bounded_whatever_is_shared() {
    for (name, text) in worst::TEXTS {
        let text = text(50_000);
        let budget = 17 * text.len() as u64 + crate::Limits::default().expansion as u64;
        for (reader, read) in worst::READERS {
            let work = crate::work::of(|| drop(read(&text)));
            assert!(
                work < 4 * budget,
                "{name} by {reader}: {work} for a budget of {budget}"
            );
        }
    }
}
