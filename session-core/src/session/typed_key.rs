use std::fmt;

/// The name of a session value, and the type that it is read and written as.
///
/// Any string names a value of any type; a [`TypedKey`] names one of its own type only.
pub trait SessionKey<T: ?Sized> {
    /// The name under which the value is stored.
    fn name(&self) -> &str;
}

impl<T: ?Sized> SessionKey<T> for &str {
    fn name(&self) -> &str {
        self
    }
}

impl<T: ?Sized> SessionKey<T> for &String {
    fn name(&self) -> &str {
        self
    }
}

impl<T: ?Sized> SessionKey<T> for String {
    fn name(&self) -> &str {
        self
    }
}

/// A name with its type, so that the compiler sees who reads what another handler wrote.
///
/// ```
/// use session_core::session::{Session, TypedKey};
///
/// const CART: TypedKey<Vec<String>> = TypedKey::new("cart", Vec::new);
///
/// async fn add(session: Session, item: String) -> session_core::Result<usize> {
///     let cart = session
///         .update(CART, move |cart| {
///             let mut cart = cart.unwrap_or_default();
///             cart.push(item.clone());
///             cart
///         })
///         .await?;
///     Ok(cart.len())
/// }
/// ```
///
/// [`Session::get_or_default`](crate::session::Session::get_or_default) gives its default where the session has no value. The default
/// is made anew each time, so one session's never leaks into another's.
pub struct TypedKey<T> {
    name: &'static str,
    default: fn() -> T,
}

impl<T> TypedKey<T> {
    /// The value called `name`, which is `default()` where a session has none.
    pub const fn new(name: &'static str, default: fn() -> T) -> Self {
        Self { name, default }
    }

    /// The value of a session that has none.
    pub fn default_value(&self) -> T {
        (self.default)()
    }
}

impl<T> SessionKey<T> for TypedKey<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T> SessionKey<T> for &TypedKey<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T> Clone for TypedKey<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for TypedKey<T> {}

impl<T> fmt::Debug for TypedKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedKey({})", self.name)
    }
}
