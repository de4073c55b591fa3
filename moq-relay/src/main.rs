//! Runs the relay: parse, bind, serve, wait for a signal, drain.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use moq_relay::args::Args;
use moq_relay::error::Error;
use moq_relay::reload::{Files, Users};
use moq_relay::server::Server;
use moq_relay::signals::{Requests, Signals};
use moq_relay::sockets::BindError;
use moq_relay::workers::{Threads, Workers};
use moq_relay::{cluster, endpoint, http, log, report, sockets, tls};
use moq_relay_cluster::cluster::Cluster;
use moq_relay_core::relay::Relay;
use quinn::Endpoint;
use tokio::sync::watch;
use tracing::info;

fn main() -> ExitCode {
    match start(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("moq-relay: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(args: &Args) -> Result<(), Error> {
    log::init(&args.log)?;
    let threads = args.limits.threads.unwrap_or_else(processors);
    let threads = Threads::start(threads).map_err(Error::system("start the threads"))?;
    let result = threads.block_on(run(args, threads.workers()));
    // Whatever still runs after the drain, or after a second signal, is not waited for.
    threads.end();
    result
}

/// How many processors this process may use.
fn processors() -> NonZeroUsize {
    available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

async fn run(args: &Args, workers: Workers) -> Result<(), Error> {
    let mut signals = Signals::listen().map_err(Error::system("listen for signals"))?;
    let reports = Requests::to_report().map_err(Error::system("listen for signals"))?;
    let reloads = Requests::to_reload().map_err(Error::system("listen for signals"))?;
    let files = Files::read(args)?;
    let cluster_config = cluster::config(&args.cluster)?;
    let fingerprint = watch::Sender::new(files.fingerprint());

    let (udp, tcp) = bind(args)?;
    let endpoint =
        endpoint::open(udp, files.server).map_err(Error::system("use the UDP socket"))?;
    tell_listeners(&endpoint, tcp.as_ref()).map_err(Error::system("tell the address bound"))?;
    let dial = cluster::dialer(args, endpoint.clone(), &files.identities)?;
    let relay = Relay::new(args.limits.relay_config());
    let node = Cluster::new(relay, cluster_config, dial.clone());
    let max_connections = args.limits.max_connections;
    let server = Server::of_node(
        endpoint.clone(),
        node.clone(),
        files.has_roots,
        max_connections,
    );
    let mut server = server.spread_over(workers);
    let http = serve_http(tcp, fingerprint.subscribe());
    let users = Users {
        args,
        endpoint,
        dial,
        fingerprint,
    };
    // Both run to the very end: links carry groups until then.
    let mut links = pin!(node.run());
    let mut reports = pin!(report::run(&node, reports));

    tokio::select! {
        biased;
        signal = signals.next() => info!(signal, "stopping"),
        () = &mut links => return Err(Error::Endpoint),
        never = &mut reports => match never {},
        result = http => return result,
        never = users.follow(reloads) => match never {},
        () = server.run() => return Err(Error::Endpoint),
    }
    tokio::select! {
        biased;
        _ = signals.next() => Err(Error::Interrupted),
        () = &mut links => Err(Error::Endpoint),
        never = &mut reports => match never {},
        () = server.shutdown(args.limits.grace) => Ok(()),
    }
}

/// Opens the UDP socket, and in development a TCP one with the same port number.
fn bind(args: &Args) -> Result<(UdpSocket, Option<TcpListener>), BindError> {
    if args.tls.dev {
        let (udp, tcp) = sockets::udp_and_tcp(args.bind)?;
        return Ok((udp, Some(tcp)));
    }
    Ok((sockets::udp(args.bind)?, None))
}

/// Logs one line for each listener: the address really bound, and what is to be had there.
fn tell_listeners(endpoint: &Endpoint, tcp: Option<&TcpListener>) -> io::Result<()> {
    let addr = endpoint.local_addr()?;
    let raw = tls::ALPN_RAW.join(", ");
    info!(%addr, protocol = "udp", "listening: WebTransport ({}), raw QUIC ({raw})", tls::ALPN_H3);
    if let Some(tcp) = tcp {
        let addr = tcp.local_addr()?;
        info!(%addr, protocol = "tcp", "listening: HTTP (GET /fingerprint)");
    }
    Ok(())
}

/// Serves HTTP where there is a listener for it, and otherwise waits for ever.
async fn serve_http(
    listener: Option<TcpListener>,
    fingerprint: watch::Receiver<String>,
) -> Result<(), Error> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let listener = tokio::net::TcpListener::from_std(listener);
    let listener = listener.map_err(Error::system("use the TCP socket"))?;
    http::serve(listener, fingerprint)
        .await
        .map_err(Error::system("serve HTTP"))
}
