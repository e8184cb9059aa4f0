use std::time::Duration;

use session_core::session::Session;
use session_core::{Expiry, Result};
use tokio::sync::Barrier;

/// Where two requests wait for each other.
#[derive(Debug)]
pub struct Meeting(Barrier);

impl Default for Meeting {
    fn default() -> Self {
        Self(Barrier::new(2))
    }
}

/// Does to `session` what the path of a request says, and returns what it read last.
///
/// Each segment of the path is a step: `/n/meet/set-next` reads a number, waits for another request, and sets the number
/// to one more than it has read.
///
/// # Panics
///
/// If a step is unknown.
pub async fn act(session: &Session, path: &str, meeting: &Meeting) -> Result<String> {
    let mut read = String::new();
    let mut number = 0;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        match step {
            "n" => {
                let n: Option<u32> = session.get("n").await?;
                number = n.unwrap_or(0);
                read = format!("{n:?}");
            }
            "set-next" => session.set("n", &(number + 1))?,
            "inc" => {
                let n = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1);
                read = n.await?.to_string();
            }
            "user" => read = format!("{:?}", session.get::<String>("user").await?),
            "set-user" => session.set("user", "ann")?,
            "short" => read = format!("{:?}", session.get::<bool>("short").await?),
            "set-short" => {
                let soon = session
                    .manager()
                    .now()
                    .saturating_add(Duration::from_millis(50));
                session.set_with("short", &true, Expiry::At(soon))?;
            }
            "regenerate" => session.regenerate()?,
            "rotate" => session.rotate()?,
            "logout" => session.destroy().await?,
            "meet" => {
                meeting.0.wait().await;
            }
            _ => panic!("there is no step {step:?}"),
        }
    }
    Ok(read)
}
