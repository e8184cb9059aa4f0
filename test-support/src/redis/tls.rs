use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

use super::RedisServer;
use crate::free_port;

/// A `redis-server` that accepts only TLS.
///
/// Client certificates are optional. Only the user `sess` has access, and only to keys below `sess:`.
pub struct RedisTls {
    server: RedisServer,
    files: TlsFiles,
}

/// A certificate authority for tests, with certificates for a server on loopback and for a client.
pub struct TlsFiles {
    folder: TempDir,
}

impl TlsFiles {
    /// Creates new certificates.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "test authority");
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

    /// Returns the path of the authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Returns the path of the client certificate.
    pub fn client_certificate(&self) -> PathBuf {
        self.path("client.pem")
    }

    /// Returns the path of the client's key.
    pub fn client_key(&self) -> PathBuf {
        self.path("client.key")
    }

    /// Returns the folder with the certificates.
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
    /// The user with access.
    pub const USER: &'static str = "sess";
    /// The password of the user.
    pub const PASSWORD: &'static str = "correct-horse-battery-staple";
    /// The key prefix that the user has access to.
    pub const BASE: &'static str = "sess";

    /// Starts a server that requires no client certificates.
    pub fn start() -> Self {
        Self::start_with(&["--tls-auth-clients", "no"])
    }

    /// Starts a server that requires client certificates from its authority.
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

    /// Returns the server. Its `redis-cli` is an administrator.
    pub fn server(&self) -> &RedisServer {
        &self.server
    }

    /// Returns the certificates.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Returns `rediss://USER:PASSWORD@localhost:PORT`.
    pub fn url(&self) -> String {
        let (user, password) = (Self::USER, Self::PASSWORD);
        format!(
            "rediss://{user}:{password}@localhost:{}",
            self.server.port()
        )
    }
}
