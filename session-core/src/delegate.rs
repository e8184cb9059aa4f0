//! The macro that forwards a whole driver.

/// Forwards the methods of [`Driver`](crate::Driver) to another driver, except those that a decorator overrides.
///
/// ```
/// use session_core::{
///     Driver, Entry, Key, Result, async_trait, delegate_driver, decorators::Traced,
/// };
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// /// A driver that counts the reads of another.
/// struct Counted<D> {
///     inner: D,
///     reads: AtomicU64,
/// }
///
/// #[async_trait]
/// impl<D: Driver> Driver for Counted<D> {
///     delegate_driver!(this => this.inner, except read);
///
///     async fn read(&self, key: &Key) -> Result<Option<Entry>> {
///         self.reads.fetch_add(1, Ordering::Relaxed);
///         self.inner.read(key).await
///     }
/// }
/// ```
///
/// A decorator must forward every method that it does not override, including the provided ones. Otherwise it hides
/// optimized methods of the inner driver, such as batches. The macro forwards all methods of the trait, including those
/// that a later version adds. `this` is a name of your choice for the decorator, and the expression after `=>` is the
/// inner driver. List the methods that the `impl` block defines itself after `except`. A missing or misspelt name is a
/// compile error.
#[macro_export]
macro_rules! delegate_driver {
    ($this:ident => $inner:expr $(, except $($own:ident),+ $(,)?)?) => {
        $crate::__delegate_method!(name [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(capabilities [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(read [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(write [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(remove [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(list [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(exists [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(metadata [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(touch [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(read_many [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(write_many [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(remove_many [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(clear [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(watch [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(listen [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(read_tracked [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(sync_invalidations [$this $inner] [$($($own)+)?]);
        $crate::__delegate_method!(close [$this $inner] [$($($own)+)?]);
    };
}

/// One method of [`delegate_driver!`], unless its name is in the list.
///
/// The methods have the signatures that `async_trait` gives them: an attribute does not see into a macro call, and a call
/// through an `Arc` must not box a second future.
#[doc(hidden)]
#[macro_export]
macro_rules! __delegate_method {
    (name $inner:tt [name $($more:ident)*]) => {};
    (capabilities $inner:tt [capabilities $($more:ident)*]) => {};
    (read $inner:tt [read $($more:ident)*]) => {};
    (write $inner:tt [write $($more:ident)*]) => {};
    (remove $inner:tt [remove $($more:ident)*]) => {};
    (list $inner:tt [list $($more:ident)*]) => {};
    (exists $inner:tt [exists $($more:ident)*]) => {};
    (metadata $inner:tt [metadata $($more:ident)*]) => {};
    (touch $inner:tt [touch $($more:ident)*]) => {};
    (read_many $inner:tt [read_many $($more:ident)*]) => {};
    (write_many $inner:tt [write_many $($more:ident)*]) => {};
    (remove_many $inner:tt [remove_many $($more:ident)*]) => {};
    (clear $inner:tt [clear $($more:ident)*]) => {};
    (watch $inner:tt [watch $($more:ident)*]) => {};
    (listen $inner:tt [listen $($more:ident)*]) => {};
    (read_tracked $inner:tt [read_tracked $($more:ident)*]) => {};
    (sync_invalidations $inner:tt [sync_invalidations $($more:ident)*]) => {};
    (close $inner:tt [close $($more:ident)*]) => {};
    ($method:ident $inner:tt [$other:ident $($more:ident)*]) => {
        $crate::__delegate_method!($method $inner [$($more)*]);
    };

    (name [$this:ident $inner:expr] []) => {
        fn name(&self) -> &str {
            let $this = self;
            $inner.name()
        }
    };
    (capabilities [$this:ident $inner:expr] []) => {
        fn capabilities(&self) -> $crate::Capabilities {
            let $this = self;
            $inner.capabilities()
        }
    };
    (read $inner:tt []) => {
        $crate::__delegate_method!(@by_key $inner read(&$crate::Key) -> Option<$crate::Entry>);
    };
    (read_tracked $inner:tt []) => {
        $crate::__delegate_method!(@by_key $inner read_tracked(&$crate::Key) -> Option<$crate::Entry>);
    };
    (exists $inner:tt []) => {
        $crate::__delegate_method!(@by_key $inner exists(&$crate::Key) -> bool);
    };
    (metadata $inner:tt []) => {
        $crate::__delegate_method!(@by_key $inner metadata(&$crate::Key) -> Option<$crate::Metadata>);
    };
    (read_many $inner:tt []) => {
        $crate::__delegate_method!(@by_key $inner read_many(&[$crate::Key]) -> Vec<Option<$crate::Entry>>);
    };
    (remove_many $inner:tt []) => {
        $crate::__delegate_method!(@by_key $inner remove_many(&[$crate::Key]) -> ());
    };
    (clear $inner:tt []) => {
        $crate::__delegate_method!(@by_key $inner clear(&$crate::Prefix) -> ());
    };
    (watch $inner:tt []) => {
        $crate::__delegate_method!(
            @by_key $inner
            watch(&$crate::Prefix) -> $crate::BoxStream<'static, $crate::Result<$crate::Change>>
        );
    };
    (remove $inner:tt []) => {
        $crate::__delegate_method!(
            @with_options $inner remove($crate::RemoveOptions) -> $crate::RemoveOutcome
        );
    };
    (touch $inner:tt []) => {
        $crate::__delegate_method!(@with_options $inner touch($crate::TouchOptions) -> bool);
    };
    (write [$this:ident $inner:expr] []) => {
        fn write<'a, 'b, 'r>(
            &'a self,
            key: &'b $crate::Key,
            value: $crate::Bytes,
            options: $crate::WriteOptions,
        ) -> $crate::DriverFuture<'r, $crate::Result<$crate::WriteOutcome>>
        where
            Self: 'r,
            'a: 'r,
            'b: 'r,
        {
            let $this = self;
            $inner.write(key, value, options)
        }
    };
    (list [$this:ident $inner:expr] []) => {
        fn list<'a, 'r>(
            &'a self,
            options: $crate::ListOptions,
        ) -> $crate::DriverFuture<'r, $crate::Result<$crate::ListPage>>
        where
            Self: 'r,
            'a: 'r,
        {
            let $this = self;
            $inner.list(options)
        }
    };
    (write_many [$this:ident $inner:expr] []) => {
        fn write_many<'a, 'r>(
            &'a self,
            writes: Vec<$crate::Write>,
        ) -> $crate::DriverFuture<'r, Vec<$crate::Result<$crate::WriteOutcome>>>
        where
            Self: 'r,
            'a: 'r,
        {
            let $this = self;
            $inner.write_many(writes)
        }
    };
    (listen [$this:ident $inner:expr] []) => {
        fn listen<'a, 'r>(
            &'a self,
            listener: ::std::sync::Arc<dyn $crate::InvalidationListener>,
        ) -> $crate::DriverFuture<'r, $crate::Result<()>>
        where
            Self: 'r,
            'a: 'r,
        {
            let $this = self;
            $inner.listen(listener)
        }
    };
    (sync_invalidations $inner:tt []) => {
        $crate::__delegate_method!(@without_arguments $inner sync_invalidations);
    };
    (close $inner:tt []) => {
        $crate::__delegate_method!(@without_arguments $inner close);
    };

    (@without_arguments [$this:ident $inner:expr] $method:ident) => {
        fn $method<'a, 'r>(&'a self) -> $crate::DriverFuture<'r, $crate::Result<()>>
        where
            Self: 'r,
            'a: 'r,
        {
            let $this = self;
            $inner.$method()
        }
    };
    (@by_key [$this:ident $inner:expr] $method:ident(&$argument:ty) -> $output:ty) => {
        fn $method<'a, 'b, 'r>(
            &'a self,
            argument: &'b $argument,
        ) -> $crate::DriverFuture<'r, $crate::Result<$output>>
        where
            Self: 'r,
            'a: 'r,
            'b: 'r,
        {
            let $this = self;
            $inner.$method(argument)
        }
    };
    (@with_options [$this:ident $inner:expr] $method:ident($options:ty) -> $output:ty) => {
        fn $method<'a, 'b, 'r>(
            &'a self,
            key: &'b $crate::Key,
            options: $options,
        ) -> $crate::DriverFuture<'r, $crate::Result<$output>>
        where
            Self: 'r,
            'a: 'r,
            'b: 'r,
        {
            let $this = self;
            $inner.$method(key, options)
        }
    };
}
