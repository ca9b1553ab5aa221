//! Hosts with several addresses, without sockets.

use std::future::pending;

use super::*;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 6443))
}

fn refused(address: SocketAddr) -> TransportError {
    TransportError::Dial(format!("dial tcp {address}: connect: connection refused"))
}

/// Dials in the order that the memory says. Addresses up to `dead` never answer; the others answer at once.
async fn dial(addresses: &Addresses, dead: u8) -> (SocketAddr, Duration) {
    let mut all = vec![address(1), address(2), address(3)];
    lock(&addresses.memory).sort(&mut all);
    let begun = Instant::now();
    let answered = addresses
        .race(all, |tried| async move { if tried <= address(dead) { pending().await } else { Ok(tried) } });
    (answered.await.unwrap(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_costs_a_quarter_of_a_second_once() {
    let addresses = Addresses::default();
    assert_eq!(dial(&addresses, 1).await, (address(2), STAGGER));
    assert_eq!(dial(&addresses, 1).await, (address(2), Duration::ZERO));
    assert_eq!(dial(&addresses, 2).await, (address(3), 2 * STAGGER), "what was good may die, too");
    assert_eq!(dial(&addresses, 2).await, (address(3), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refused_address_is_not_waited_for_and_comes_last_for_a_while() {
    let addresses = Addresses::default();
    let tried = Mutex::new(Vec::new());
    let dial = |address| {
        lock(&tried).push(address);
        async move { if address == self::address(2) { Ok(()) } else { Err(refused(address)) } }
    };
    let begun = Instant::now();
    addresses.race(vec![address(1), address(2)], dial).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(5));
    assert_eq!(*lock(&tried), [address(1), address(2)]);

    let order = || {
        let mut all = vec![address(1), address(2), address(3)];
        lock(&addresses.memory).sort(&mut all);
        all
    };
    assert_eq!(order(), [address(2), address(3), address(1)]);
    lock(&addresses.memory).failed(address(2));
    assert_eq!(order(), [address(3), address(1), address(2)]);
    tokio::time::advance(DEMOTION).await;
    assert_eq!(order(), [address(1), address(2), address(3)], "forgotten");
}

#[tokio::test(start_paused = true)]
async fn rule_177_the_failure_of_the_first_address_is_the_one_that_is_told() {
    let addresses = Addresses::default();
    // The second fails before the first.
    let dial = |address| async move {
        let late = if address == self::address(1) { 5 * STAGGER } else { Duration::ZERO };
        tokio::time::sleep(late).await;
        Err::<(), _>(refused(address))
    };
    let error = addresses.race(vec![address(1), address(2)], dial).await.unwrap_err();
    assert_eq!(error, Some(refused(address(1))));
    let nothing = |_| async { Ok(()) };
    assert_eq!(addresses.race(vec![], nothing).await, Err(None));
}
