//! the devalue wire format, both ways, with serde
