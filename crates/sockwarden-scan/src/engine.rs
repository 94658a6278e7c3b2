//! The driver: it talks for a machine, and it replays what was said.

use crate::{
    check::{Conclusion, Halt, Machine, Skip, Step},
    exchange::{Connection, Exchange},
    probe::Probe,
    talk::Turn,
};

/// How many steps a machine may ask for.
const MAX_STEPS: usize = 256;

/// What a machine came to.
pub(crate) type Verdict = Result<Conclusion, Skip>;

/// Talks for `machine` until it is done. What was said is in `exchange` even where the verdict is that it was halted.
pub(crate) async fn drive<M: Machine + ?Sized>(
    machine: &mut M,
    probe: &mut impl Probe,
    exchange: &mut Exchange,
) -> Verdict {
    for _ in 0..MAX_STEPS {
        let halted = match machine.next(exchange) {
            Step::Done(conclusion) => return Ok(conclusion),
            Step::Skip(skip) => return Err(skip),
            Step::Talk(talk) => {
                let mut connection = Connection::new(talk.title, talk.opening.clone());
                let opened = probe.open(&talk.opening, &mut connection).await;
                let spoken = match opened {
                    Ok(()) => speak(&talk.turns, probe, &mut connection).await,
                    Err(halt) => Err(halt),
                };
                connection.end_step();
                // A refusal for being too busy says nothing about what was asked.
                let throttled = match (&talk.opening.handshake, connection.status()) {
                    // Where the limit is what was asked about, it is the answer.
                    _ if talk.opening.tries_patience() => Ok(()),
                    (_, Some(429)) | (Some(_), Some(503)) => Err(Halt::Overloaded(connection.answered())),
                    (Some(_) | None, _) => Ok(()),
                };
                exchange.connections.push(connection);
                spoken.and(throttled)
            }
            Step::Errand(which, index) => match probe.errand(which, index).await {
                Ok(reply) => {
                    exchange.replies.push(reply);
                    Ok(())
                }
                Err(halt) => Err(halt),
            },
            Step::More(turns) => {
                let last = exchange.connections.len().saturating_sub(1);
                go_on(last, &turns, probe, exchange).await
            }
            Step::Return(index, turns) => go_on(index, &turns, probe, exchange).await,
        };
        if let Err(halt) = halted {
            return Err(Skip::Halted(halt));
        }
    }
    Err(Skip::Halted(Halt::Steps(MAX_STEPS)))
}

/// Says more on the connection with this index, where there is one.
async fn go_on(
    index: usize,
    turns: &[Turn],
    probe: &mut impl Probe,
    exchange: &mut Exchange,
) -> Result<(), Halt> {
    let Some(connection) = exchange.connections.get_mut(index) else { return Ok(()) };
    probe.take_up(index);
    let spoken = speak(turns, probe, connection).await;
    connection.end_step();
    spoken
}

async fn speak(turns: &[Turn], probe: &mut impl Probe, connection: &mut Connection) -> Result<(), Halt> {
    for turn in turns {
        if !connection.is_open() {
            return Ok(());
        }
        probe.turn(turn, connection).await?;
    }
    Ok(())
}

/// Gives a machine what was said on an earlier run, step by step, and returns what it comes to.
///
/// # Errors
/// As [`drive`]; and a machine that asks for something other than what was recorded is halted.
#[cfg(test)]
pub(crate) fn replay<M: Machine + ?Sized>(machine: &mut M, recorded: &Exchange) -> Verdict {
    let mut so_far = Exchange::default();
    for _ in 0..MAX_STEPS {
        match machine.next(&so_far) {
            Step::Done(conclusion) => return Ok(conclusion),
            Step::Skip(skip) => return Err(skip),
            Step::Talk(talk) => {
                let recorded = &recorded.connections[so_far.connections.len()];
                assert_eq!((recorded.title(), recorded.opening()), (talk.title.as_str(), &talk.opening));
                so_far.connections.push(recorded.as_of(1));
            }
            Step::Errand(..) => so_far.replies.push(recorded.replies[so_far.replies.len()].clone()),
            Step::More(_) => {
                let last = so_far.connections.len() - 1;
                again(last, &mut so_far, recorded);
            }
            Step::Return(index, _) => again(index, &mut so_far, recorded),
        }
    }
    Err(Skip::Halted(Halt::Steps(MAX_STEPS)))
}

/// Takes one step more of a recorded connection.
#[cfg(test)]
fn again(index: usize, so_far: &mut Exchange, recorded: &Exchange) {
    let steps = so_far.connections[index].steps() + 1;
    so_far.connections[index] = recorded.connections[index].as_of(steps);
}
