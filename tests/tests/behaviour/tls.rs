//! Towards providers over TLS: who is trusted, and who is not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use busbar_tests::dialect::Dialect;
use busbar_tests::gateway::Gateway;
use busbar_tests::http;
use busbar_tests::upstream;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ANSWER: &str = "{\"over\":\"tls\"}";

#[test]
fn a_provider_is_trusted_by_its_certificate() {
    let (address, certificate) = provider();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let trusted = format!(", ca_file: \"{}\"", file.display());
    // Vouched for; vouched for by nobody; vouched for under another name.
    for (more, host, status) in
        [(&*trusted, "localhost", 200), ("", "localhost", 502), (&*trusted, "127.0.0.1", 502)]
    {
        let config = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  \
             p: {{ protocol: openai_chat, base_url: \"https://{host}:{}/v1\"{more} }}\n\
             models:\n  m: {{ provider: p }}\n",
            address.port()
        );
        let gateway = Gateway::start(&config).unwrap();
        let body = Dialect::OpenaiChat.request("m", false);
        let answer = http::post(gateway.address, "/v1/chat/completions", &[], &body).unwrap();
        assert_eq!(answer.status(), status, "{host}{more}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.text(), ANSWER);
        } else {
            Dialect::OpenaiChat.error(&answer).unwrap();
        }
    }
}

#[test]
fn a_file_of_certificates_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "not a certificate").unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  \
         p: {{ protocol: openai_chat, base_url: \"https://localhost:1/v1\", ca_file: \"{}\" }}\n\
         models:\n  m: {{ provider: p }}\n",
        file.display()
    );
    let error = Gateway::start(&config).unwrap_err();
    assert!(error.to_string().contains("ca.pem"), "{error}");
}

/// A provider with a certificate of its own for `localhost`, which it returns.
fn provider() -> (SocketAddr, String) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A client that does not trust this provider breaks off; the next one may.
            thread::spawn(move || drop(answer(stream, config)));
        }
    });
    (address, own.cert.pem())
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(http::READ_TIMEOUT))?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    // The request of this test ends in two closing brackets.
    while !seen.ends_with(b"}]}") {
        let count = stream.read(&mut piece)?;
        anyhow::ensure!(count > 0, "closed");
        seen.extend_from_slice(&piece[..count]);
    }
    stream.write_all(&upstream::response(200, &[], ANSWER))?;
    stream.flush()?;
    Ok(())
}
