//! TLS towards providers: the public roots, and the operator's own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why TLS cannot be set up for a provider.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of certificates cannot be used.
    #[error("{}: {reason}", file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The host's name is none that a certificate can have.
    #[error("`{0}` is not a name that a certificate can have")]
    Name(String, #[source] InvalidDnsNameError),
    /// The TLS library refuses its settings.
    #[error(transparent)]
    Settings(#[from] rustls::Error),
}

/// Whom to trust to be a provider.
#[derive(Clone)]
pub struct Trust {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Trust {
    /// Trusts the public roots, and those in `ca_file`, to vouch for `host`.
    ///
    /// # Errors
    /// [`TlsError`] when the file cannot be read or the name cannot be vouched for.
    pub fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| TlsError::Name(host.to_owned(), error))?;
        Ok(Self { connector: TlsConnector::from(client_config(ca_file)?), name })
    }

    pub(super) async fn connect(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), socket).await
    }
}

/// Settings that trust the public roots, and those in `ca_file`.
///
/// # Errors
/// [`TlsError`] when the file cannot be read or holds no certificate.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = ca_file {
        let broken = |reason: String| TlsError::Certificates { file: file.to_owned(), reason };
        let certificates = CertificateDer::pem_file_iter(file).map_err(|error| broken(error.to_string()))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| broken(error.to_string()))?;
            roots.add(certificate).map_err(|error| broken(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(broken("no certificate in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
