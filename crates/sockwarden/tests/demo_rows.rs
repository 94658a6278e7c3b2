//! Each row of the demo in both ways: the named defence on, and off with everything else as in the demo.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sockwarden::demo::{ATTACKS, Attack, Outcome, Stage, Target, switch_off};

async fn check(id: &str) {
    let attack: &Attack = ATTACKS.into_iter().find(|attack| attack.id == id).unwrap();

    let stage = Stage::start(|_| {}).await.unwrap();
    let direct = attack.attempt(&stage, Target::Direct).await;
    assert!(matches!(direct, Outcome::Succeeded { .. }), "{id} direct: {direct:?}");
    let through = attack.attempt(&stage, Target::Gateway).await;
    let Outcome::Stopped { event: Some(event), .. } = &through else {
        panic!("{id} through the gateway: {through:?}")
    };
    assert_eq!(stage.stopper(*event).as_deref(), Some(attack.defence), "{id}: {through:?}");
    stage.stop().await;

    let stage = Stage::start(|route| assert!(switch_off(attack.defence, route))).await.unwrap();
    let through = attack.attempt(&stage, Target::Gateway).await;
    assert!(matches!(through, Outcome::Succeeded { .. }), "{id} without {}: {through:?}", attack.defence);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forward_auth_stops_unauthenticated_access_and_nothing_else_does() {
    check("unauthenticated-access").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frame_limits_stop_an_oversize_message_and_nothing_else_does() {
    check("oversize-message").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_stops_a_flood_and_nothing_else_does() {
    check("message-flood").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_required_stops_who_sits_on_the_way_in_and_nothing_else_does() {
    check("sniff-and-alter-on-the-way-in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_policy_stops_a_cross_site_hijack_and_nothing_else_does() {
    check("cross-site-hijack").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_tls_stops_who_sits_behind_the_proxy_and_nothing_else_does() {
    check("sniff-and-alter-behind-the-proxy").await;
}

#[test]
fn every_row_is_tried_above() {
    let source = include_str!("demo_rows.rs");
    for attack in ATTACKS {
        assert!(source.contains(&format!("check(\"{}\")", attack.id)), "{}", attack.id);
    }
}
