//! The logged-in user.

use session_kit::session::TypedKey;

/// The name of the logged-in user. It is not set for anonymous visitors.
pub(crate) const USER: TypedKey<String> = TypedKey::new("user");
