/// An operation of a [`Driver`](session_core::Driver). Faults and counts are kept per operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`read`](session_core::Driver::read)
    Read,
    /// [`write`](session_core::Driver::write)
    Write,
    /// [`remove`](session_core::Driver::remove)
    Remove,
    /// [`list`](session_core::Driver::list)
    List,
    /// [`exists`](session_core::Driver::exists)
    Exists,
    /// [`metadata`](session_core::Driver::metadata)
    Metadata,
    /// [`touch`](session_core::Driver::touch)
    Touch,
    /// [`read_many`](session_core::Driver::read_many)
    ReadMany,
    /// [`write_many`](session_core::Driver::write_many)
    WriteMany,
    /// [`remove_many`](session_core::Driver::remove_many)
    RemoveMany,
    /// [`clear`](session_core::Driver::clear)
    Clear,
    /// [`watch`](session_core::Driver::watch)
    Watch,
    /// [`close`](session_core::Driver::close)
    Close,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 13] = [
        Self::Read,
        Self::Write,
        Self::Remove,
        Self::List,
        Self::Exists,
        Self::Metadata,
        Self::Touch,
        Self::ReadMany,
        Self::WriteMany,
        Self::RemoveMany,
        Self::Clear,
        Self::Watch,
        Self::Close,
    ];

    /// Returns the name of the method.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Remove => "remove",
            Self::List => "list",
            Self::Exists => "exists",
            Self::Metadata => "metadata",
            Self::Touch => "touch",
            Self::ReadMany => "read_many",
            Self::WriteMany => "write_many",
            Self::RemoveMany => "remove_many",
            Self::Clear => "clear",
            Self::Watch => "watch",
            Self::Close => "close",
        }
    }
}
