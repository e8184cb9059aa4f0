use std::any::Any;
use std::sync::Arc;

use crate::Driver;

/// Puts a driver into an `Arc`, unless it is an `Arc<dyn Driver>` already.
pub(crate) fn into_arc(driver: impl Driver) -> Arc<dyn Driver> {
    let any: &dyn Any = &driver;
    match any.downcast_ref::<Arc<dyn Driver>>() {
        Some(shared) => Arc::clone(shared),
        None => Arc::new(driver),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Stuck;

    #[test]
    fn a_shared_driver_is_not_wrapped_again() {
        let driver: Arc<dyn Driver> = into_arc(Stuck);
        assert!(Arc::ptr_eq(&driver, &into_arc(driver.clone())));
    }
}
