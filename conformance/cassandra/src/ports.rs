//! Ports that stay free until a server listens on them, also while it restarts.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

use anyhow::{Context, Result};

/// The ports to choose from. They are below those that systems give to outgoing connections, so no client takes the
/// port of a server that restarts.
const PORTS: Range<u16> = 12_000..30_000;
/// Limit of the ports that are tried. Nearly all of them are free.
const TRIES_MAX: usize = 100;

/// Returns `count` different ports. Each is currently free on all of `addresses`.
///
/// # Errors
/// If one of the addresses cannot be bound; the error says how to add it.
pub fn free_ports<const COUNT: usize>(addresses: &[Ipv4Addr]) -> Result<[u16; COUNT]> {
    for address in addresses {
        TcpListener::bind((*address, 0)).with_context(|| {
            format!("cannot listen on {address}; on macOS, run `sudo ifconfig lo0 alias {address}` first")
        })?;
    }
    let mut ports = [0; COUNT];
    for index in 0..COUNT {
        let free = |port: &u16| addresses.iter().all(|address| TcpListener::bind((*address, *port)).is_ok());
        let found = (0..TRIES_MAX).map(|_| random_port()).find(|port| !ports.contains(port) && free(port));
        ports[index] = found.context("this machine has no free port")?;
    }
    Ok(ports)
}

/// Random, because tests that start at the same time must not choose the same ports.
fn random_port() -> u16 {
    let random = RandomState::new().build_hasher().finish() % PORTS.len() as u64;
    PORTS.start + u16::try_from(random).expect("the remainder is below the number of ports")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_free_on_every_address() {
        let ports = free_ports::<3>(&[Ipv4Addr::LOCALHOST]).expect("ports are free");
        let listeners = ports.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        assert!(listeners.iter().all(Result::is_ok), "{ports:?}: {listeners:?}");
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }

    #[test]
    fn an_address_of_another_machine_is_refused_with_advice() {
        let error = free_ports::<1>(&[Ipv4Addr::new(192, 0, 2, 1)]).expect_err("it is reserved for documentation");
        assert!(format!("{error:#}").contains("ifconfig lo0 alias 192.0.2.1"), "{error:#}");
    }
}
