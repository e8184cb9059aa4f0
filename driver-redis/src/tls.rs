//! TLS with the certificates of the options. The `redis` crate has no name of a server apart from its host, needs a
//! provider of the whole process, and reads the certificates of the system anew for each connection.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use session_core::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::options::TlsOptions;
use crate::settings::invalid;

/// What every connection of a driver needs to speak TLS.
#[derive(Clone)]
pub(crate) struct TlsClient {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl TlsClient {
    /// Reads the files that `options` name. It reads from the disk, and is called when a driver is opened alone.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("TLS cannot be used").with_source(error))?
            .with_root_certificates(authorities(options.ca.as_deref())?);
        let config = match (&options.cert, &options.key) {
            (Some(certificate), Some(key)) => {
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("tls.key", key, error))?;
                builder
                    .with_client_auth_cert(certificates("tls.cert", certificate)?, key)
                    .map_err(|error| {
                        invalid("`tls.cert` and `tls.key` do not belong together")
                            .with_source(error)
                    })?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => {
                return Err(invalid(
                    "`tls.cert` and `tls.key` are given together or not at all",
                ));
            }
        };
        let server_name = options.server_name.clone().map(|name| {
            ServerName::try_from(name).map_err(|error| {
                invalid("`tls.server_name` is no name of a host").with_source(error)
            })
        });
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server_name: server_name.transpose()?,
        })
    }

    /// The stream to `host`, once its certificate is accepted.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        self.connector.connect(name, stream).await
    }
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else {
        // Some of a system's certificates may be of a kind that rustls does not take; the others count.
        let found = rustls_native_certs::load_native_certs();
        let (taken, _refused) = store.add_parsable_certificates(found.certs);
        if taken == 0 {
            return Err(invalid(
                "the system has no certificates of authorities to trust; install them, or name a file by `tls.ca`",
            ));
        }
        return Ok(store);
    };
    for certificate in certificates("tls.ca", file)? {
        store
            .add(certificate)
            .map_err(|error| unreadable("tls.ca", file, error))?;
    }
    Ok(store)
}

fn certificates(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(option, file, error))?;
    match certificates.is_empty() {
        true => Err(invalid(format!(
            "`{option}`: {} holds no certificate in PEM",
            file.display()
        ))),
        false => Ok(certificates),
    }
}

fn unreadable(
    option: &str,
    file: &Path,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    invalid(format!(
        "`{option}`: {} cannot be read as PEM",
        file.display()
    ))
    .with_source(error)
}
