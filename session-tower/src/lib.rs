//! tower layer and axum extractor for session-core
