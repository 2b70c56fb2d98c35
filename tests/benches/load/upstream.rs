//! The mock provider: reads a request to its end and writes bytes it has ready.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval};

use crate::cases::{Answer, Case};
use crate::wire::Reader;

/// Starts a listener for one case; it serves until the runtime ends.
pub(crate) async fn serve(case: &Case) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (head, pieces) = case.answer();
    let script = Rc::new(match case.answer {
        Answer::Paced(every) => Script { first: head, later: pieces, every },
        _ => Script { first: [head, pieces.concat()].concat(), later: Vec::new(), every: Duration::ZERO },
    });
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let script = Rc::clone(&script);
            // A proxy may close its connection at any time; the load generator counts what that costs.
            tokio::task::spawn_local(async move { drop(answer(stream, &script).await) });
        }
    });
    Ok(address)
}

struct Script {
    first: Vec<u8>,
    later: Vec<Vec<u8>>,
    every: Duration,
}

async fn answer(mut stream: TcpStream, script: &Script) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new();
    while reader.message(&mut stream, false).await?.is_some() {
        stream.write_all(&script.first).await?;
        if script.later.is_empty() {
            continue;
        }
        let mut ticks = interval(script.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for piece in &script.later {
            ticks.tick().await;
            stream.write_all(piece).await?;
        }
    }
    Ok(())
}
