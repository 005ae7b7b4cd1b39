//! The place of a node: its address and ports, and its share of a cluster.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::ports::free_ports;

/// The place of one node, by itself or in a cluster.
///
/// All nodes of a cluster have the same ports on different addresses, because drivers assume one port for all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The address on which it listens.
    pub address: Ipv4Addr,
    /// The address of the node through which it joins the cluster.
    pub seed: Ipv4Addr,
    /// The port for clients.
    pub port: u16,
    /// The port for other nodes.
    pub storage_port: u16,
    /// The end of its range of tokens.
    pub token: i64,
    /// Number of nodes in the cluster.
    pub nodes: u8,
}

impl Place {
    /// Returns a place for a node by itself, on free ports.
    ///
    /// # Errors
    /// If there are no free ports.
    pub fn alone() -> Result<Self> {
        Ok(Self::in_cluster(1)?[0])
    }

    /// Returns places for `nodes` nodes, on 127.0.0.1, 127.0.0.2 and so on. Each gets an equal range of tokens.
    ///
    /// Start the first one, and the next one once it is ready.
    ///
    /// # Errors
    /// If this machine lacks one of the addresses, or free ports.
    pub fn in_cluster(nodes: u8) -> Result<Vec<Self>> {
        let addresses: Vec<Ipv4Addr> = (1..=nodes).map(|number| Ipv4Addr::new(127, 0, 0, number)).collect();
        let [port, storage_port] = free_ports(&addresses)?;
        let seed = Ipv4Addr::LOCALHOST;
        let place = |(index, address)| Self { address, seed, port, storage_port, token: token(index, nodes), nodes };
        Ok((0..nodes).zip(addresses).map(place).collect())
    }

    /// Returns true for a node by itself. It requires a password and offers TLS.
    ///
    /// Clusters have neither: one node of them has the passwords, and while it is down, nobody could log in.
    pub fn is_alone(&self) -> bool {
        self.nodes == 1
    }
}

/// Returns the token of node number `index`. The tokens are evenly spaced; that of a node by itself is 0.
fn token(index: u8, nodes: u8) -> i64 {
    let width = (1_i128 << 64) / i128::from(nodes);
    let token = i128::from(index) * width - if nodes == 1 { 0 } else { 1 << 63 };
    // The lowest number is not a token.
    i64::try_from(token).expect("the tokens are those of 64 bits").max(i64::MIN + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_evenly_spaced() {
        assert_eq!(token(0, 1), 0);
        assert_eq!([0, 1, 2].map(|index| token(index, 3) >> 32), [-1 << 31, -715_827_883, 715_827_882]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nodes_of_a_cluster_differ_only_in_address_and_token() {
        let places = Place::in_cluster(3).expect("Linux has all addresses of the loopback network");
        assert_eq!(places[2].address, Ipv4Addr::new(127, 0, 0, 3));
        let same = places.iter().map(|place| Place { address: places[0].address, token: places[0].token, ..*place });
        assert!(same.into_iter().all(|place| place == places[0]), "{places:?}");
    }
}
