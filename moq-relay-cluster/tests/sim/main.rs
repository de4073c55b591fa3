//! Random lives of small clusters, compared with what is really published. The example `simulate`
//! does the same with as many nodes and seeds as are wanted.

#[path = "../net/mod.rs"]
mod net;
mod story;

use story::{Plan, tell};

/// Tells stories with these seeds, one after the other.
fn tell_all(nodes: usize, seeds: std::ops::Range<u64>) {
    let plan = Plan { nodes, rounds: 2 };
    for seed in seeds {
        let told = tell(plan, seed);
        assert!(told.is_ok(), "{nodes} nodes, seed {seed}: {told:?}");
    }
}

#[test]
fn four_nodes_come_to_know_the_truth() {
    tell_all(4, 0..120);
}

#[test]
fn six_nodes_come_to_know_the_truth() {
    tell_all(6, 1000..1070);
}

#[test]
fn twelve_nodes_come_to_know_the_truth() {
    tell_all(12, 2000..2020);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let plan = Plan {
        nodes: 6,
        rounds: 2,
    };
    for seed in 3000..3010 {
        assert_eq!(tell(plan, seed), tell(plan, seed), "seed {seed}");
    }
}
