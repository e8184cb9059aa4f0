//! A storage as a driver passes the conformance suite.

mod at_the_root {
    use driver_memory::MemoryDriver;
    use session_storage::Storage;
    use std::sync::Arc;

    conformance_tests::suite!(|| async { Storage::new(Arc::new(MemoryDriver::new())).as_driver() });
}

mod in_a_mount_among_others {
    use crate::support::{memory, storage};

    conformance_tests::suite!(|| async {
        let storage = storage();
        for base in ["mounted:here", "mounted", "elsewhere"] {
            storage.mount(base, memory()).unwrap();
        }
        storage.prefix("mounted:here").unwrap().as_driver()
    });
}
