use std::fmt;
use std::marker::PhantomData;

/// The name of a session value, and the type that it is read and written as.
///
/// Any string names a value of any type; a [`TypedKey`] or [`DefaultKey`] names one of its own type only.
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
/// use session_core::session::{DefaultKey, Session, TypedKey};
///
/// const USER: TypedKey<String> = TypedKey::new("user");
/// const CART: DefaultKey<Vec<String>> = TypedKey::new("cart").or(Vec::new);
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
///
/// async fn summary(session: Session) -> session_core::Result<String> {
///     let user = session.get(USER).await?.unwrap_or_else(|| "nobody".to_owned());
///     Ok(format!("{user}: {}", session.get_or_default(CART).await?.join(", ")))
/// }
///
/// fn empty(session: &Session) -> session_core::Result<()> {
///     session.remove(CART.name())
/// }
/// ```
pub struct TypedKey<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

/// A [`TypedKey`] with the value of a session that has none; made by [`TypedKey::or`].
///
/// The default is made anew each time, so one session's never leaks into another's.
pub struct DefaultKey<T> {
    name: &'static str,
    default: fn() -> T,
}

impl<T> TypedKey<T> {
    /// The value called `name`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// The same value, which is `default()` where a session has none.
    pub const fn or(self, default: fn() -> T) -> DefaultKey<T> {
        DefaultKey {
            name: self.name,
            default,
        }
    }

    /// The name under which the value is stored.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> DefaultKey<T> {
    /// The name under which the value is stored.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The value of a session that has none.
    pub fn default_value(&self) -> T {
        (self.default)()
    }
}

macro_rules! session_key {
    ($key:ident) => {
        impl<T> SessionKey<T> for $key<T> {
            fn name(&self) -> &str {
                self.name
            }
        }

        impl<T> Clone for $key<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $key<T> {}

        impl<T> fmt::Debug for $key<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($key), self.name)
            }
        }
    };
}

session_key!(TypedKey);
session_key!(DefaultKey);
