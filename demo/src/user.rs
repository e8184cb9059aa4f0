use session_kit::session::TypedKey;

/// Who is logged in; not set for a visitor who is not.
pub(crate) const USER: TypedKey<String> = TypedKey::new("user");
