//! The names of session values, with and without a type.

use std::fmt;
use std::marker::PhantomData;

/// The name of a session value: a string, or a [`TypedKey`].
pub trait ValueName {
    /// The name under which the value is stored.
    fn name(&self) -> &str;
}

/// The name of a session value that is read and written as `T`.
///
/// A string names a value of any type. A [`TypedKey`] names one of its own type only.
pub trait SessionKey<T: ?Sized>: ValueName {
    /// Whether a stored value of another type is taken as missing. See [`TypedKey::lenient`].
    fn is_lenient(&self) -> bool {
        false
    }
}

macro_rules! string_key {
    ($($string:ty),*) => {
        $(
            impl ValueName for $string {
                fn name(&self) -> &str {
                    self
                }
            }

            impl<T: ?Sized> SessionKey<T> for $string {}
        )*
    };
}

string_key!(&str, &String, String);

/// A name with a type, so that the compiler checks that all handlers use the same type.
///
/// ```
/// use session_core::session::{Session, TypedKey};
///
/// const USER: TypedKey<String> = TypedKey::new("user");
/// const CART: TypedKey<Vec<String>> = TypedKey::new("cart");
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
///     session.remove(CART)
/// }
/// ```
///
/// A key may have a default value for sessions without a value. `D` is the [`SessionData`](super::SessionData) that the
/// key is a field of, or `()` for a standalone key.
pub struct TypedKey<T, D = ()> {
    name: &'static str,
    default: Option<fn() -> T>,
    lenient: bool,
    data: PhantomData<fn() -> D>,
}

impl<T> TypedKey<T> {
    /// Creates a key for the value called `name`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            default: None,
            lenient: false,
            data: PhantomData,
        }
    }
}

impl<T, D> TypedKey<T, D> {
    /// A field of `D`, for [`session_data!`](crate::session_data).
    #[doc(hidden)]
    pub const fn field(name: &'static str, default: fn() -> T) -> Self {
        Self {
            name,
            default: Some(default),
            lenient: false,
            data: PhantomData,
        }
    }

    /// Sets the default value. It is computed each time, so sessions do not share it.
    #[must_use]
    pub const fn with_default(mut self, default: fn() -> T) -> Self {
        self.default = Some(default);
        self
    }

    /// Takes a stored value of another type as missing, such as after a deploy that changed the type.
    ///
    /// Otherwise such a value is an error of each read. Each case is reported as
    /// [`SessionEvent::WrongType`](super::SessionEvent::WrongType). The stored value stays until the key is set.
    #[must_use]
    pub const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// The name under which the value is stored.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the default value, if the key has one.
    pub fn default_value(&self) -> Option<T> {
        self.default.map(|default| default())
    }
}

impl<T, D> ValueName for TypedKey<T, D> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T, D> SessionKey<T> for TypedKey<T, D> {
    fn is_lenient(&self) -> bool {
        self.lenient
    }
}

impl<T, D> Clone for TypedKey<T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, D> Copy for TypedKey<T, D> {}

impl<T, D> fmt::Debug for TypedKey<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedKey({})", self.name)
    }
}
