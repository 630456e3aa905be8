//! iceoryx2: publish and subscribe, one publisher and one subscriber, samples loaned and polled for.
//!
//! There are two services for each size, one a direction, whose payload is so many bytes. What a subscriber has not
//! taken yet is kept, and a publisher that finds no room tries again, spinning as a ring does.

use std::fmt::{self, Debug};
use std::process;
use std::time::Duration;

use iceoryx2::port::BackpressureAction;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{BackpressureStrategy, LogLevel, Node, NodeBuilder, ServiceName, ipc, set_log_level};
use ringway_cli::bench::{
    BySize, CAPACITY, Carrier, Channel, Error, Foreign, Half, Message, OneSize, Open, Opener, Place, Result,
    Sizes, Waiting, Watch,
};

pub(crate) const OPENER: Opener = Opener {
    foreign: Foreign { name: "iceoryx2, polled", waiting: Waiting::Spins },
    open: Open::Processes(open),
};

/// About what a sample takes beside its payload.
const HEADER: usize = 56;

fn open(place: &mut Place<'_>) -> Result<Box<dyn Carrier>> {
    set_log_level(LogLevel::Error);
    let prefix = place.agree("RINGWAY_PEERS_ICEORYX2", || format!("ringway-peers-{}", process::id()))?;
    let node = NodeBuilder::new().create::<ipc::Service>().map_err(Error::other)?;
    let services = Services { node: &node, prefix, side: place.number(), watch: place.watch() };
    let [sides] = BySize::open(services)?;
    Ok(Box::new(Sides { sides, node }))
}

/// One side of all services.
#[derive(Debug)]
struct Sides {
    sides: BySize<dyn Carrier>,
    node: Node<ipc::Service>,
}

impl Carrier for Sides {
    fn run(&mut self, size: usize, half: Half<'_>) -> Result<Duration> {
        self.sides.run(size, half)
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        // The other process has been killed, and what it had made stays until somebody looks.
        self.node.try_cleanup_dead_nodes();
    }
}

struct Services<'a> {
    node: &'a Node<ipc::Service>,
    prefix: String,
    side: usize,
    watch: Watch,
}

impl Sizes<1> for Services<'_> {
    type Side = dyn Carrier;

    #[expect(clippy::disallowed_methods, reason = "waits as a ring does, for what no model replaces")]
    fn open<const N: usize>(&mut self) -> Result<[Box<dyn Carrier>; 1]> {
        let directions = ["down", "up"];
        let [out, back] = [directions[self.side], directions[1 - self.side]];
        let service = |direction: &str| {
            let name = format!("{}/{direction}/{N}", self.prefix);
            self.node
                .service_builder(&ServiceName::new(&name).map_err(Error::other)?)
                .publish_subscribe::<[u8; N]>()
                .enable_safe_overflow(false)
                .subscriber_max_buffer_size(CAPACITY / (N + HEADER))
                .max_publishers(1)
                .max_subscribers(1)
                .open_or_create()
                .map_err(Error::other)
        };
        let watch = self.watch.clone();
        let publisher = service(out)?
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .set_backpressure_handler(move |_| {
                if watch.ended() {
                    return BackpressureAction::DiscardDataAndFail;
                }
                std::hint::spin_loop();
                BackpressureAction::Retry
            })
            .create()
            .map_err(Error::other)?;
        let subscriber = service(back)?.subscriber_builder().create().map_err(Error::other)?;
        Ok([Box::new(OneSize(Side { publisher, subscriber, watch: self.watch.clone() }))])
    }
}

/// One side of two services.
struct Side<const N: usize> {
    publisher: Publisher<ipc::Service, [u8; N], ()>,
    subscriber: Subscriber<ipc::Service, [u8; N], ()>,
    watch: Watch,
}

impl<const N: usize> Channel<N> for Side<N> {
    #[inline]
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        let sample = self.publisher.loan_uninit().map_err(Error::other)?;
        sample.write_payload(*message.compose()).send().map_err(Error::other)?;
        Ok(())
    }

    #[inline]
    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        let sample = self.watch.until(|| self.subscriber.receive().transpose())?;
        message.check(sample.map_err(Error::other)?.payload())
    }
}

impl<const N: usize> Debug for Side<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("publisher", &self.publisher).finish_non_exhaustive()
    }
}
