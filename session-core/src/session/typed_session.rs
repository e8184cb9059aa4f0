//! Sessions whose values are the fields of a struct of the application.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Lifetime, SaveOutcome, Session, SessionId, SessionKey, TypedKey};
use crate::Result;

/// The values that an application stores in its sessions, as one type. [`session_data!`](crate::session_data) defines it.
pub trait SessionData: Sized + Send + 'static {
    /// Reads all fields. A field that the session does not have gets its default.
    fn read(session: &Session) -> impl Future<Output = Result<Self>> + Send;

    /// Sets all fields.
    fn write(&self, session: &Session) -> Result<()>;
}

/// Defines the values that an application stores in its sessions, with their types and defaults.
///
/// ```
/// use session_core::session::TypedSession;
/// use session_core::session_data;
///
/// session_data! {
///     /// What the shop remembers about a visitor.
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
/// It defines the struct, its `Default`, its [`SessionData`](crate::session::SessionData), and for each field a constant
/// of the same name: the [`TypedKey`](crate::session::TypedKey) for the methods of a
/// [`TypedSession`](crate::session::TypedSession). Values are serialized with serde. The default is an expression that is
/// evaluated each time, so sessions do not share it. With `=> lenient` after its default, as in
/// `count: u32 = 0 => lenient`, a field is [lenient](crate::session::TypedKey::lenient): a stored value of another type
/// is taken as missing. Each value is stored under its own name, so two requests that change
/// different values both keep their changes.
#[macro_export]
macro_rules! session_data {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $data:ident {
            $(
                $(#[$field_attribute:meta])*
                $field_visibility:vis $field:ident : $type:ty = $default:expr $(=> $lenient:ident)?
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
                $field_visibility const $field: $crate::session::TypedKey<$type, $data> =
                    $crate::session::TypedKey::field(stringify!($field), || $default)$(.$lenient())?;
            )*
        }

        impl ::core::default::Default for $data {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::session::SessionData for $data {
            async fn read(session: &$crate::session::Session) -> $crate::Result<Self> {
                ::core::result::Result::Ok(Self {
                    $($field: match session.get(Self::$field).await? {
                        ::core::option::Option::Some(value) => value,
                        ::core::option::Option::None => $default,
                    },)*
                })
            }

            fn write(&self, session: &$crate::session::Session) -> $crate::Result<()> {
                $(session.set(Self::$field, &self.$field)?;)*
                ::core::result::Result::Ok(())
            }
        }
    };
}

/// A session whose values are the fields of `D`, with their types and defaults.
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
/// It is an extractor like [`Session`]. [`session`](Self::session) returns the untyped session, for all other methods.
pub struct TypedSession<D> {
    session: Session,
    data: PhantomData<fn() -> D>,
}

impl Session {
    /// Returns this session with the values of `D`.
    pub fn typed<D: SessionData>(&self) -> TypedSession<D> {
        TypedSession {
            session: self.clone(),
            data: PhantomData,
        }
    }
}

impl<D: SessionData> TypedSession<D> {
    /// Returns the untyped session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the value of a field, or its default.
    pub async fn get<T: DeserializeOwned>(&self, field: TypedKey<T, D>) -> Result<T> {
        let value = self.session.get(field).await?;
        value
            .or_else(|| field.default_value())
            .ok_or_else(|| no_default(field.name()))
    }

    /// Sets a field.
    pub fn set<T: Serialize>(&self, field: TypedKey<T, D>, value: impl Borrow<T>) -> Result<()> {
        self.session.set(field, value.borrow())
    }

    /// Computes a new value of a field from the old one or its default, and returns the new value.
    ///
    /// It is atomic across all requests and servers, like [`Session::update`], so `update` may run several times.
    pub async fn update<T, F>(&self, field: TypedKey<T, D>, update: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(T) -> T + Send + Sync + 'static,
    {
        self.session
            .try_update(field, move |old: Option<T>| {
                let old = old.or_else(|| field.default_value());
                old.map(&update).ok_or_else(|| no_default(field.name()))
            })
            .await
    }

    /// Returns whether a field has a stored value, rather than its default.
    pub async fn has<T>(&self, field: TypedKey<T, D>) -> Result<bool> {
        self.session.has(field).await
    }

    /// Removes the value of a field, which resets it to its default.
    pub fn remove<T>(&self, field: TypedKey<T, D>) -> Result<()> {
        self.session.remove(field)
    }

    /// Reads all fields.
    pub async fn data(&self) -> Result<D> {
        D::read(&self.session).await
    }

    /// Sets all fields.
    ///
    /// If two requests do this at the same time, the later one wins. Use [`set`](Self::set) or [`update`](Self::update) for
    /// single fields.
    pub fn set_data(&self, data: &D) -> Result<()> {
        data.write(&self.session)
    }

    /// See [`Session::flash`].
    pub fn flash<T: Serialize + ?Sized>(&self, key: impl SessionKey<T>, value: &T) -> Result<()> {
        self.session.flash(key, value)
    }

    /// See [`Session::take_flash`].
    pub async fn take_flash<T: DeserializeOwned>(
        &self,
        key: impl SessionKey<T>,
    ) -> Result<Option<T>> {
        self.session.take_flash(key).await
    }

    /// See [`Session::regenerate`].
    pub fn regenerate(&self) -> Result<()> {
        self.session.regenerate()
    }

    /// See [`Session::rotate`].
    pub fn rotate(&self) -> Result<()> {
        self.session.rotate()
    }

    /// See [`Session::destroy`].
    pub async fn destroy(&self) -> Result<()> {
        self.session.destroy().await
    }

    /// See [`Session::save`].
    pub async fn save(&self) -> Result<SaveOutcome> {
        self.session.save().await
    }

    /// See [`Session::set_lifetime`].
    pub fn set_lifetime(&self, lifetime: Lifetime) -> Result<()> {
        self.session.set_lifetime(lifetime)
    }

    /// See [`Session::id`].
    pub fn id(&self) -> Option<SessionId> {
        self.session.id()
    }
}

/// A field always has a default. A key that was created by hand may not.
fn no_default(name: &str) -> crate::Error {
    crate::Error::new(
        crate::ErrorKind::WrongType,
        format!("the session value `{name}` is missing and its key has no default; give it one"),
    )
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
