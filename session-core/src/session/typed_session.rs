use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Session, SessionKey};
use crate::Result;

/// What an application keeps in its sessions, as one type; made by [`session_data!`](crate::session_data).
pub trait SessionData: Sized + Send + 'static {
    /// Reads it all; what the session has not is the default.
    fn read(session: &Session) -> impl Future<Output = Result<Self>> + Send;

    /// Sets it all.
    fn write(&self, session: &Session) -> Result<()>;
}

/// Declares what an application keeps in its sessions: the values with their types and defaults.
///
/// ```
/// use session_core::session::TypedSession;
/// use session_core::session_data;
///
/// session_data! {
///     /// What the shop remembers of a visitor.
///     #[derive(Clone, Debug, PartialEq)]
///     pub struct Visitor {
///         pub count: u32 = 0,
///         pub user: Option<String> = None,
///     }
/// }
///
/// async fn index(session: TypedSession<Visitor>) -> session_core::Result<String> {
///     session.update(Visitor::count, |count| count + 1).await?;
///     Ok(format!("You visited this page: {}", session.get(Visitor::count).await?))
/// }
/// ```
///
/// It makes the struct, its `Default`, its [`SessionData`](crate::session::SessionData), and for each value a constant of
/// the same name: the [`Field`](crate::session::Field) that a [`TypedSession`](crate::session::TypedSession) takes. A value's
/// type is read and written by serde. Its default is an expression that is evaluated anew each time, so that no session ever
/// sees what another made of it. A value is stored under its name, on its own, so two requests that change
/// different ones both keep their change.
#[macro_export]
macro_rules! session_data {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $data:ident {
            $(
                $(#[$field_attribute:meta])*
                $field_visibility:vis $field:ident : $type:ty = $default:expr
            ),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility struct $data {
            $($(#[$field_attribute])* $field_visibility $field: $type,)*
        }

        #[allow(non_upper_case_globals)]
        impl $data {
            $(
                $(#[$field_attribute])*
                $field_visibility const $field: $crate::session::Field<$data, $type> =
                    $crate::session::Field::new(stringify!($field), || $default);
            )*
        }

        impl ::core::default::Default for $data {
            fn default() -> Self {
                Self { $($field: Self::$field.default_value(),)* }
            }
        }

        impl $crate::session::SessionData for $data {
            async fn read(session: &$crate::session::Session) -> $crate::Result<Self> {
                ::core::result::Result::Ok(Self {
                    $($field: Self::$field.read(session).await?,)*
                })
            }

            fn write(&self, session: &$crate::session::Session) -> $crate::Result<()> {
                $(session.set(Self::$field, &self.$field)?;)*
                ::core::result::Result::Ok(())
            }
        }
    };
}

/// One value of a [`SessionData`]: its name, its type and its default.
pub struct Field<D, T> {
    name: &'static str,
    default: fn() -> T,
    data: PhantomData<fn() -> D>,
}

impl<D, T> Field<D, T> {
    /// The value called `name`, which is `default()` where a session has none.
    pub const fn new(name: &'static str, default: fn() -> T) -> Self {
        Self {
            name,
            default,
            data: PhantomData,
        }
    }

    /// The name under which the value is stored.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The value of a session that has none.
    pub fn default_value(&self) -> T {
        (self.default)()
    }

    /// The value in a session of any kind.
    pub async fn read(self, session: &Session) -> Result<T>
    where
        T: DeserializeOwned,
    {
        let value = session.get(self).await?;
        Ok(value.unwrap_or_else(self.default))
    }
}

impl<D, T> SessionKey<T> for Field<D, T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<D, T> Clone for Field<D, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D, T> Copy for Field<D, T> {}

impl<D, T> fmt::Debug for Field<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.name)
    }
}

/// A session whose values are those of `D`, with their types and defaults.
///
/// ```
/// use session_core::session::TypedSession;
/// use session_core::session_data;
///
/// session_data! {
///     struct Visitor {
///         count: u32 = 0,
///         user: Option<String> = None,
///     }
/// }
///
/// async fn log_in(session: TypedSession<Visitor>, name: String) -> session_core::Result<()> {
///     session.regenerate()?;
///     session.set(Visitor::user, Some(name))?;
///     session.flash("notice", "Welcome back!")
/// }
/// ```
///
/// It is an extractor where [`Session`] is one. Everything else that a session does is there too, for it derefs to
/// [`Session`]; only the values go by their fields.
pub struct TypedSession<D> {
    session: Session,
    data: PhantomData<fn() -> D>,
}

impl Session {
    /// This session with the values of `D`.
    pub fn typed<D: SessionData>(&self) -> TypedSession<D> {
        TypedSession {
            session: self.clone(),
            data: PhantomData,
        }
    }
}

impl<D: SessionData> TypedSession<D> {
    /// The value of a field, or its default if there is none.
    pub async fn get<T: DeserializeOwned>(&self, field: Field<D, T>) -> Result<T> {
        field.read(&self.session).await
    }

    /// Sets a field, whatever it was.
    pub fn set<T: Serialize>(&self, field: Field<D, T>, value: impl Borrow<T>) -> Result<()> {
        self.session.set(field, value.borrow())
    }

    /// Makes the new value of a field from the old one or its default, and gives the new one.
    ///
    /// It is atomic among all requests and servers, as [`Session::update`] is, and so may run several times.
    pub async fn update<T, F>(&self, field: Field<D, T>, update: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(T) -> T + Send + Sync + 'static,
        D: 'static,
    {
        let default = field.default;
        self.session
            .update(field, move |old: Option<T>| {
                update(old.unwrap_or_else(default))
            })
            .await
    }

    /// Whether a field has a value of its own, and not its default.
    pub async fn has<T>(&self, field: Field<D, T>) -> Result<bool> {
        self.session.has(field.name).await
    }

    /// Takes a field's value away, so that it is its default.
    pub fn unset<T>(&self, field: Field<D, T>) -> Result<()> {
        self.session.remove(field.name)
    }

    /// All fields.
    pub async fn data(&self) -> Result<D> {
        D::read(&self.session).await
    }

    /// Sets all fields. Two requests that do so at the same time take each other's changes away: for one of them,
    /// [`set`](Self::set) or [`update`](Self::update) it.
    pub fn set_data(&self, data: &D) -> Result<()> {
        data.write(&self.session)
    }
}

impl<D> Deref for TypedSession<D> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl<D> Clone for TypedSession<D> {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            data: PhantomData,
        }
    }
}

impl<D> fmt::Debug for TypedSession<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}
