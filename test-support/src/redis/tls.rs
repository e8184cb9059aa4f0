use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

use super::RedisServer;
use crate::free_port;

/// A `redis-server` that speaks TLS alone, wants a certificate of its clients where asked to, and lets in the user
/// `sess` alone, who may touch the keys below `sess:`.
pub struct RedisTls {
    server: RedisServer,
    files: TlsFiles,
}

/// An authority of the tests' own, with certificates for a server on loopback and for a client.
pub struct TlsFiles {
    folder: TempDir,
}

impl TlsFiles {
    /// Makes them anew.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "authority of the tests");
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", authority.pem());
        for (name, purpose) in [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let mut params = CertificateParams::new(names).unwrap();
            params.extended_key_usages.push(purpose);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { folder }
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A certificate of that authority for a client.
    pub fn client_certificate(&self) -> PathBuf {
        self.path("client.pem")
    }

    /// The key of the client's certificate.
    pub fn client_key(&self) -> PathBuf {
        self.path("client.key")
    }

    /// The folder in which they are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for TlsFiles {
    fn default() -> Self {
        Self::new()
    }
}

impl RedisTls {
    /// The user that is let in.
    pub const USER: &'static str = "sess";
    /// The user's password.
    pub const PASSWORD: &'static str = "correct-horse-battery-staple";
    /// The key prefix that the user may touch.
    pub const BASE: &'static str = "sess";

    /// Starts a server that asks its clients for no certificate.
    pub fn start() -> Self {
        Self::start_with(&["--tls-auth-clients", "no"])
    }

    /// Starts a server that serves clients with a certificate of its authority alone.
    pub fn start_with_client_certificates() -> Self {
        Self::start_with(&["--tls-auth-clients", "yes"])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let files = TlsFiles::new();
        let port = free_port();
        let path = |name: &str| files.path(name).to_string_lossy().into_owned();
        let acl = format!(
            "user default off\nuser admin on >admin ~* &* +@all\nuser {} on >{} ~{}:* resetchannels -@all +@read +@write \
             +@connection +@transaction +@scripting -@dangerous\n",
            Self::USER,
            Self::PASSWORD,
            Self::BASE
        );
        fs::write(files.path("users.acl"), acl).unwrap();
        let (port_text, certificate, key) =
            (port.to_string(), path("server.pem"), path("server.key"));
        let (ca, users) = (path("ca.pem"), path("users.acl"));
        let mut all = vec![
            "--port",
            "0",
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--aclfile",
            &users,
        ];
        all.extend(arguments);
        let access = [
            "--tls",
            "--cacert",
            &ca,
            "--cert",
            &path("client.pem"),
            "--key",
            &path("client.key"),
            "--user",
            "admin",
            "--pass",
            "admin",
            "--no-auth-warning",
        ];
        let access: Vec<String> = access.iter().map(ToString::to_string).collect();
        let server = RedisServer::start_in(
            tempfile::tempdir().unwrap(),
            Path::new("redis-server"),
            port,
            &all,
            &access,
        );
        Self { server, files }
    }

    /// The server; its `redis-cli` is an administrator's.
    pub fn server(&self) -> &RedisServer {
        &self.server
    }

    /// The certificates.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// `rediss://USER:PASSWORD@localhost:PORT`.
    pub fn url(&self) -> String {
        let (user, password) = (Self::USER, Self::PASSWORD);
        format!(
            "rediss://{user}:{password}@localhost:{}",
            self.server.port()
        )
    }
}
