//! The proxy between real sockets, on a paused clock: what takes a minute here takes no time.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use moq_test_client::impair::change::Change;
use moq_test_client::impair::control::Control;
use moq_test_client::impair::duplex::Way;
use moq_test_client::impair::proxy::{Proxy, ProxyConfig};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, timeout};
use tokio_util::sync::CancellationToken;

/// Longer than any packet takes here.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server behind a running proxy.
struct Lab {
    server: UdpSocket,
    proxy: SocketAddr,
    control: Control,
    stop: CancellationToken,
    running: JoinSet<io::Result<()>>,
}

impl Lab {
    async fn start(adjust: impl FnOnce(&mut ProxyConfig)) -> Self {
        let server = socket().await;
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let mut config = ProxyConfig::new(listen, server.local_addr().unwrap(), 1);
        adjust(&mut config);
        let proxy = Proxy::bind(config).unwrap();
        let stop = CancellationToken::new();
        let (address, control) = (proxy.address(), proxy.control());
        let mut running = JoinSet::new();
        running.spawn(proxy.run(stop.clone()));
        Self {
            server,
            proxy: address,
            control,
            stop,
            running,
        }
    }

    /// Starts with these settings both ways.
    async fn with(text: &str) -> Self {
        let change: Change = text.parse().unwrap();
        Self::start(|config| {
            config
                .settings
                .each(Way::Both, |settings| change.apply(settings));
        })
        .await
    }

    /// A new client's socket.
    async fn client(&self) -> UdpSocket {
        let client = socket().await;
        client.connect(self.proxy).await.unwrap();
        client
    }

    fn change(&self, way: Way, text: &str) {
        self.control.change(way, &text.parse().unwrap());
    }

    /// Takes what the server receives next, and from where.
    async fn arrival(&self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 2000];
        let received = timeout(PATIENCE, self.server.recv_from(&mut buffer)).await;
        let (len, from) = received.ok()?.unwrap();
        Some((buffer[..len].to_vec(), from))
    }

    /// Sends a packet up and its number down again; returns the port that the server saw.
    async fn echo(&self, client: &UdpSocket, number: u8) -> u16 {
        client.send(&[number]).await.unwrap();
        let (packet, from) = self.arrival().await.expect("it arrives");
        assert_eq!(packet, [number]);
        self.server.send_to(&packet, from).await.unwrap();
        assert_eq!(receive(client).await, Some(vec![number]));
        from.port()
    }

    /// Stops the proxy and waits until its counters stand still.
    async fn stop(mut self) -> Control {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap().unwrap();
        self.control
    }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

async fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 2000];
    let len = timeout(PATIENCE, socket.recv(&mut buffer)).await.ok()?;
    Some(buffer[..len.unwrap()].to_vec())
}

#[tokio::test(start_paused = true)]
async fn every_client_has_a_port_of_its_own_and_gets_its_own_answers() {
    let lab = Lab::with("clear").await;
    let (one, two) = (lab.client().await, lab.client().await);
    let ports = [lab.echo(&one, 1).await, lab.echo(&two, 2).await];
    assert_ne!(ports[0], ports[1]);
    assert_eq!([lab.echo(&one, 3).await, lab.echo(&two, 4).await], ports);

    let totals = lab.stop().await.totals();
    assert_eq!((totals.clients, totals.refused), (2, 0));
    for counters in [totals.counters.up, totals.counters.down] {
        assert_eq!((counters.packets, counters.delivered), (4, 4));
        assert_eq!((counters.bytes, counters.delivered_bytes), (4, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn each_direction_has_its_own_delay_which_changes_at_once() {
    let lab = Lab::with("clear").await;
    let client = lab.client().await;
    for (up, down) in [(0, 0), (40, 0), (40, 25), (0, 25), (400, 1)] {
        lab.change(Way::Up, &format!("delay={up}ms"));
        lab.change(Way::Down, &format!("delay={down}ms"));
        let start = Instant::now();
        lab.echo(&client, 1).await;
        // The timer is up to 2 ms late, each way.
        let took = start.elapsed().as_millis();
        assert!((up + down..=up + down + 4).contains(&took), "{took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_a_cut_and_everything_after_it() {
    let lab = Lab::with("delay=50ms").await;
    let client = lab.client().await;
    let port = lab.echo(&client, 1).await;

    client.send(b"under way").await.unwrap();
    lab.change(Way::Up, "cut");
    client.send(b"into the cut").await.unwrap();
    assert_eq!(lab.arrival().await, None);
    lab.change(Way::Up, "heal");
    assert_eq!(lab.echo(&client, 2).await, port);
    assert_eq!(lab.stop().await.totals().counters.up.cut, 2);
}

#[tokio::test(start_paused = true)]
async fn a_rebind_moves_every_client_and_leaves_the_old_port_deaf() {
    let lab = Lab::with("clear").await;
    let clients = [lab.client().await, lab.client().await];
    let mut before = Vec::new();
    for client in &clients {
        before.push(lab.echo(client, 1).await);
    }
    lab.control.rebind();
    for (client, before) in clients.iter().zip(before) {
        let after = lab.echo(client, 2).await;
        assert_ne!(after, before);
        let old = (Ipv4Addr::LOCALHOST, before);
        lab.server.send_to(b"late", old).await.unwrap();
        assert_eq!(receive(client).await, None);
    }
    assert_eq!(lab.stop().await.totals().rebinds, 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_forgotten_and_one_that_waits_for_a_packet_is_not() {
    let lab = Lab::start(|config| config.idle = Duration::from_secs(3)).await;
    let client = lab.client().await;
    let port = lab.echo(&client, 1).await;
    assert_eq!(lab.echo(&client, 2).await, port);
    assert_eq!(receive(&client).await, None);
    assert_eq!(lab.control.totals().active, 0);

    lab.change(Way::Both, "delay=8s");
    assert_ne!(lab.echo(&client, 3).await, port);
    let totals = lab.control.totals();
    assert_eq!((totals.clients, totals.active), (2, 1));
    assert_eq!(totals.counters.up.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_as_many_clients_as_configured() {
    let lab = Lab::start(|config| {
        config.max_clients = 2;
        config.idle = Duration::from_secs(3);
    })
    .await;
    let clients = [lab.client().await, lab.client().await, lab.client().await];
    lab.echo(&clients[0], 0).await;
    lab.echo(&clients[1], 1).await;
    clients[2].send(b"too many").await.unwrap();
    assert_eq!(lab.arrival().await, None);
    assert_eq!(lab.control.totals().refused, 1);
    // By now the others are forgotten.
    lab.echo(&clients[2], 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_is_healed_at_once_still_loses_what_is_under_way() {
    let lab = Lab::with("delay=50ms").await;
    let client = lab.client().await;
    client.send(b"under way").await.unwrap();
    while lab.control.totals().counters.up.packets == 0 {
        advance(Duration::from_millis(1)).await;
    }
    lab.change(Way::Both, "cut heal");
    lab.control.settled().await;
    assert_eq!(lab.arrival().await, None);
    lab.echo(&client, 1).await;
    assert_eq!(lab.stop().await.totals().counters.up.cut, 1);
}

/// Sends a hundred packets of each client, one a millisecond, and returns which arrived of each.
async fn survivors(clients: usize) -> Vec<Vec<u8>> {
    let lab = Lab::with("loss=30% delay=1ms").await;
    let mut sockets = Vec::new();
    for _ in 0..clients {
        sockets.push(lab.client().await);
    }
    for number in 0..100 {
        for (client, socket) in sockets.iter().enumerate() {
            let client = u8::try_from(client).unwrap();
            socket.send(&[client, number]).await.unwrap();
            advance(Duration::from_millis(1)).await;
        }
    }
    let mut arrived = vec![Vec::new(); clients];
    while let Some((packet, _from)) = lab.arrival().await {
        arrived[usize::from(packet[0])].push(packet[1]);
    }
    arrived
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_loses_the_same_packets_of_a_client_whatever_others_do() {
    let alone = survivors(1).await;
    let crowd = survivors(3).await;
    assert_eq!(alone[0], crowd[0]);
    assert_eq!(survivors(3).await, crowd);
    assert_ne!(crowd[1], crowd[0]);
    for arrived in crowd {
        assert!((50..90).contains(&arrived.len()), "{arrived:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_transfer_takes_as_long_as_the_rate_says() {
    // 1000 bytes take a millisecond.
    let lab = Lab::with("rate=8mbit queue=10s").await;
    let client = lab.client().await;
    let start = Instant::now();
    for _ in 0..50 {
        for _ in 0..20 {
            client.send(&[0; 1000]).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    for number in 1..=1000 {
        assert!(lab.arrival().await.is_some(), "packet {number}");
        let took = start.elapsed().as_millis();
        assert!((number..=number + 2).contains(&took), "{number}: {took} ms");
    }
    let counters = lab.stop().await.totals().counters.up;
    assert_eq!((counters.delivered, counters.queued), (1000, 999));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_a_while_is_found_again() {
    let mut lab = Lab::with("clear").await;
    let client = lab.client().await;
    lab.echo(&client, 1).await;
    let address = lab.server.local_addr().unwrap();
    lab.server = socket().await;
    for _ in 0..3 {
        client.send(b"nobody there").await.unwrap();
        assert_eq!(receive(&client).await, None);
    }
    lab.server = UdpSocket::bind(address).await.unwrap();
    lab.echo(&client, 2).await;
    assert_eq!(lab.stop().await.totals().counters.up.failed, 3);
}
