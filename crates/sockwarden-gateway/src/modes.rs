//! Modes that differ from the configuration for a stated time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockwarden_model::{
    Action, AuditEvent, ControlError, DefenceState, Event, EventSender, Mode, ModeChange, ModeScope,
    Requester,
};
use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep_until},
};

use crate::{build::Route, journal::unix_ms};

/// Which defences have another mode than configured, and until when. At most one entry for each defence of each route.
#[derive(Debug, Default)]
pub(crate) struct Modes {
    changed: Mutex<Vec<Changed>>,
    sooner: Notify,
}

#[derive(Clone, Debug)]
struct Changed {
    route: Arc<Route>,
    defence: usize,
    until: Instant,
}

impl Modes {
    /// Changes modes for a time; gives how many.
    pub(crate) fn set(
        &self,
        routes: &[Arc<Route>],
        change: &ModeChange,
        by: &Requester,
        events: &EventSender,
    ) -> Result<usize, ControlError> {
        if change.time < Duration::from_secs(1) || change.time > ModeChange::LONGEST {
            return Err(ControlError::Time);
        }
        let chosen = chosen(routes, &change.scope)?;
        let until = Instant::now() + change.time;
        let mut list = self.lock();
        let mut count = 0;
        for (route, defence) in chosen {
            let Route { name, defences, .. } = &*route;
            let switch = &defences[defence].switch;
            let was_changed = forget(&mut list, &route, defence);
            if change.mode == switch.configured() && !was_changed {
                continue;
            }
            switch.set(change.mode);
            count += 1;
            let (route_name, rule) = (name.to_string(), defences[defence].defence.rule().id.to_owned());
            let action = if change.mode == switch.configured() {
                Action::RestoreMode { route: route_name, rule, mode: change.mode }
            } else {
                list.push(Changed { route: Arc::clone(&route), defence, until });
                let seconds = change.time.as_secs();
                Action::SetMode { route: route_name, rule, mode: change.mode, seconds }
            };
            audit(events, by, action);
        }
        drop(list);
        self.sooner.notify_one();
        Ok(count)
    }

    /// Puts modes back; gives how many.
    pub(crate) fn restore(
        &self,
        routes: &[Arc<Route>],
        scope: &ModeScope,
        by: &Requester,
        events: &EventSender,
    ) -> Result<usize, ControlError> {
        let chosen = chosen(routes, scope)?;
        let mut list = self.lock();
        let mut count = 0;
        for (route, defence) in chosen {
            if forget(&mut list, &route, defence) {
                put_back(&route, defence, by, events);
                count += 1;
            }
        }
        Ok(count)
    }

    /// Puts every mode back when its time is over, for as long as it is polled.
    pub(crate) async fn keep(&self, events: &EventSender) {
        loop {
            let next = self.lock().iter().map(|changed| changed.until).min();
            match next {
                None => self.sooner.notified().await,
                Some(until) => {
                    tokio::select! {
                        () = sleep_until(until) => {}
                        () = self.sooner.notified() => {}
                    }
                }
            }
            let now = Instant::now();
            let mut list = self.lock();
            for due in list.extract_if(.., |changed| changed.until <= now) {
                put_back(&due.route, due.defence, &Requester::TIMER, events);
            }
        }
    }

    /// Tells how each defence of a route stands.
    pub(crate) fn states(&self, route: &Arc<Route>) -> Vec<DefenceState> {
        let now = Instant::now();
        let list = self.lock();
        let left = |defence| {
            let changed = list.iter().find(|c| Arc::ptr_eq(&c.route, route) && c.defence == defence)?;
            let left = changed.until.saturating_duration_since(now);
            Some(left.as_secs() + u64::from(left.subsec_nanos() > 0))
        };
        let states = route.defences.iter().enumerate().map(|(at, configured)| DefenceState {
            rule: configured.defence.rule().id.to_owned(),
            mode: configured.switch.mode(),
            configured: configured.switch.configured(),
            fixed: configured.switch.is_fixed(),
            seconds_left: left(at),
        });
        states.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Changed>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the defences that a change concerns, as places of routes and of their defences.
fn chosen(routes: &[Arc<Route>], scope: &ModeScope) -> Result<Vec<(Arc<Route>, usize)>, ControlError> {
    let wanted = |route: &&Arc<Route>| scope.route.as_deref().is_none_or(|name| name == &*route.name);
    if !routes.iter().any(|route| wanted(&route)) {
        return Err(ControlError::NoRoute);
    }
    let mut chosen = Vec::new();
    for route in routes.iter().filter(wanted) {
        for (place, configured) in route.defences.iter().enumerate() {
            let switch = &configured.switch;
            match scope.rule.as_deref() {
                None if !switch.is_fixed() && switch.configured() != Mode::Off => {
                    chosen.push((Arc::clone(route), place))
                }
                None => {}
                Some(rule) if rule != configured.defence.rule().id => {}
                Some(_) if switch.is_fixed() => return Err(ControlError::Fixed),
                Some(_) => chosen.push((Arc::clone(route), place)),
            }
        }
    }
    if chosen.is_empty() && scope.rule.is_some() { Err(ControlError::NoRule) } else { Ok(chosen) }
}

fn forget(list: &mut Vec<Changed>, route: &Arc<Route>, defence: usize) -> bool {
    let before = list.len();
    list.retain(|changed| !Arc::ptr_eq(&changed.route, route) || changed.defence != defence);
    list.len() != before
}

fn put_back(route: &Route, defence: usize, by: &Requester, events: &EventSender) {
    let Route { name, defences, .. } = route;
    let configured = &defences[defence];
    configured.switch.restore();
    let action = Action::RestoreMode {
        route: name.to_string(),
        rule: configured.defence.rule().id.to_owned(),
        mode: configured.switch.configured(),
    };
    audit(events, by, action);
}

pub(crate) fn audit(events: &EventSender, by: &Requester, action: Action) {
    events.send(Event::Audit(AuditEvent { at_ms: unix_ms(), by: by.clone(), action }));
}

#[cfg(test)]
mod tests {
    use sockwarden_model::{EventReceiver, Role, event_channel};

    use super::*;
    use crate::{Auth, LimitsConfig, ListenerConfig, RouteConfig, build};

    fn routes() -> Vec<Arc<Route>> {
        let listener = ListenerConfig::new("127.0.0.1:0");
        let mut chat = RouteConfig::new("chat", "ws://127.0.0.1:1", Auth::NONE);
        chat.origin_policy.mode = Mode::Off;
        let feed = RouteConfig {
            path: "/feed".to_owned(),
            ..RouteConfig::new("feed", "ws://127.0.0.1:1", Auth::NONE)
        };
        build(&[listener], &[chat, feed], &LimitsConfig::default()).unwrap().routes
    }

    fn scope(route: Option<&str>, rule: Option<&str>) -> ModeScope {
        ModeScope { route: route.map(str::to_owned), rule: rule.map(str::to_owned) }
    }

    fn operator() -> Requester {
        Requester { role: Role::Operator, from: Some("127.0.0.1:5".to_owned()), name: None }
    }

    /// The actions so far, each with who did it.
    fn actions(events: &EventReceiver) -> Vec<(Role, Action)> {
        events
            .try_iter()
            .map(|event| match event {
                Event::Audit(audit) => (audit.by.role, audit.action),
                other @ (Event::Open(_)
                | Event::Close(_)
                | Event::Verdict(_)
                | Event::Notice(_)
                | Event::Request(_)) => {
                    panic!("{other:?}")
                }
            })
            .collect()
    }

    /// How many defences of a route can be changed to a mode that they do not have.
    fn switches(route: usize, to: Mode) -> usize {
        let may_change = |switch: &sockwarden_defend::Switch| {
            !switch.is_fixed() && switch.configured() != Mode::Off && switch.configured() != to
        };
        routes()[route].defences.iter().filter(|configured| may_change(&configured.switch)).count()
    }

    #[test]
    fn a_change_concerns_what_it_names() {
        let check = |route, rule, mode, seconds, expected| {
            let routes = routes();
            let (sender, events) = event_channel(100);
            let change = ModeChange { scope: scope(route, rule), mode, time: Duration::from_secs(seconds) };
            let result = Modes::default().set(&routes, &change, &operator(), &sender);
            assert_eq!(result, expected, "{change:?}");
            assert_eq!(actions(&events).len(), result.unwrap_or(0));
        };
        use ControlError::{Fixed, NoRoute, NoRule, Time};
        use Mode::{Block, Observe, Off};
        check(Some("chat"), Some("frame-limits"), Observe, 60, Ok(1));
        check(None, Some("frame-limits"), Observe, 60, Ok(2));
        check(Some("chat"), None, Observe, 60, Ok(switches(0, Observe)));
        check(Some("feed"), None, Observe, 60, Ok(switches(1, Observe)));
        check(None, None, Off, 60, Ok(switches(0, Off) + switches(1, Off)));
        check(Some("chat"), Some("origin-policy"), Block, 60, Ok(1));
        check(Some("chat"), None, Block, 60, Ok(switches(0, Block)));
        check(Some("elsewhere"), None, Observe, 60, Err(NoRoute));
        check(Some("chat"), Some("authentication"), Observe, 60, Err(NoRule));
        check(None, Some("nonsense"), Observe, 60, Err(NoRule));
        check(None, Some("protocol-rules"), Off, 60, Err(Fixed));
        check(None, None, Observe, 0, Err(Time));
        check(None, None, Observe, 86_400, Ok(switches(0, Observe) + switches(1, Observe)));
        check(None, None, Observe, 86_401, Err(Time));
        check(None, None, Observe, u64::MAX, Err(Time));
    }

    #[tokio::test(start_paused = true)]
    async fn a_mode_goes_back_by_itself_and_says_so() {
        let routes = routes();
        let (sender, events) = event_channel(100);
        let modes = Modes::default();
        let mode = || routes[1].defences.iter().map(|c| c.switch.mode()).collect::<Vec<_>>();
        let before = mode();
        let change = |rule: Option<&str>, seconds| ModeChange {
            scope: scope(Some("feed"), rule),
            mode: Mode::Observe,
            time: Duration::from_secs(seconds),
        };
        let acts = async {
            let after = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
            assert_eq!(
                modes.set(&routes, &change(None, 100), &operator(), &sender),
                Ok(switches(1, Mode::Observe))
            );
            after(1).await;
            // A second change of the same defence replaces the first, sooner or later.
            assert_eq!(modes.set(&routes, &change(Some("frame-limits"), 9), &operator(), &sender), Ok(1));
            let limits = |states: Vec<DefenceState>| states.into_iter().find(|s| s.rule == "frame-limits");
            let state = limits(modes.states(&routes[1])).unwrap();
            assert_eq!((state.mode, state.seconds_left), (Mode::Observe, Some(9)));
            assert_eq!(actions(&events).len(), switches(1, Mode::Observe) + 1);
            after(10).await;
            let state = limits(modes.states(&routes[1])).unwrap();
            assert_eq!((state.mode, state.seconds_left), (Mode::Block, None));
            let restored = |rule: &str| Action::RestoreMode {
                route: "feed".to_owned(),
                rule: rule.to_owned(),
                mode: Mode::Block,
            };
            assert_eq!(actions(&events), [(Role::Timer, restored("frame-limits"))]);
            let origin = scope(None, Some("origin-policy"));
            assert_eq!(modes.restore(&routes, &origin, &operator(), &sender), Ok(1));
            assert_eq!(actions(&events), [(Role::Operator, restored("origin-policy"))]);
            after(100).await;
            // All but the two that went back before.
            assert_eq!(actions(&events).len(), switches(1, Mode::Observe) - 2);
            assert_eq!(mode(), before);
        };
        tokio::select! {
            () = acts => {}
            () = modes.keep(&sender) => {}
        }
    }
}
