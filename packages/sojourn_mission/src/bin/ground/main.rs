//! The node `ground`: conducts planning, verification, approval, uplink and drive, and says what happens as JSON lines.

mod approval;
mod link;

use link::{Link, Nothing, Waited};
use r2r::geometry_msgs::msg::Point;
use r2r::rcl_interfaces::srv::GetParameters;
use r2r::sojourn_msgs::action::ExecuteDrive;
use r2r::sojourn_msgs::srv::{PlanRoute, SubmitSignature, UplinkBundle, VerifyPlan};
use sojourn_core::conduct::Event;
use sojourn_core::plan::Plan;
use sojourn_core::report::Report;
use sojourn_core::status::DriveState;
use sojourn_core::{files, topics};
use sojourn_mission::Bundle;
use sojourn_mission::conductor::{GroundParams, exit};
use sojourn_ros::{NodeKit, run_node};
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

/// How long the executive's answer to a cancellation is waited for when this node is told to stop.
const CANCEL_WAIT: Duration = Duration::from_millis(1000);

/// How long the answer to one greeting is waited for before the next is sent.
const GREETING_WAIT: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    run_node("ground", ground)
}

/// Why the conductor ends early.
pub(crate) enum End {
    /// SIGINT or SIGTERM.
    Signal,
    /// With this exit code, after saying why.
    Code(i32, Event),
    /// Something failed; exit code 1.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for End {
    fn from(e: E) -> Self {
        Self::Failed(e.into())
    }
}

fn failed(message: impl Into<String>) -> End {
    End::Failed(anyhow::anyhow!(message.into()))
}

/// Says an event. A reader that has gone away is no reason to end a drive.
pub(crate) fn say(event: &Event) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", event.line());
    let _ = out.flush();
}

async fn ground(mut kit: NodeKit<Nothing>) -> anyhow::Result<()> {
    let outcome = match prepare(&mut kit) {
        Ok(mut ready) => {
            let service = kit.node().create_service::<SubmitSignature::Service>(
                topics::SUBMIT_SIGNATURE.name,
                r2r::QosProfile::services_default(),
            )?;
            let mut link = Link::new(kit.run()?, Box::new(service));
            let outcome = conduct(&mut link, &mut ready).await;
            link.finish();
            outcome
        }
        Err(e) => Err(End::Failed(e)),
    };
    let code = match outcome {
        Ok(()) => exit::REACHED,
        Err(End::Signal) => {
            say(&none("CANCELLED", "told to stop by a signal"));
            // A supervisor that ends a node expects 0; the event above says that nothing was reached.
            0
        }
        Err(End::Code(code, event)) => {
            say(&event);
            code
        }
        Err(End::Failed(e)) => {
            say(&Event::Error {
                message: format!("{e:#}"),
            });
            exit::FAILED
        }
    };
    std::process::exit(code)
}

fn none(state: &str, reason: &str) -> Event {
    Event::Finished {
        reached: false,
        state: state.into(),
        reason: reason.into(),
        distance_driven_m: 0.0,
        goal_error_estimate_m: f64::NAN,
    }
}

type Ready = Pin<Box<dyn Future<Output = r2r::Result<()>>>>;

/// Everything that must exist before messages flow.
struct Conductor {
    params: GroundParams,
    out_dir: PathBuf,
    mission: String,
    plan: r2r::Client<PlanRoute::Service>,
    verify: r2r::Client<VerifyPlan::Service>,
    uplink: r2r::Client<UplinkBundle::Service>,
    drive: r2r::ActionClient<ExecuteDrive::Action>,
    ready: Vec<(&'static str, Ready)>,
    greetings: Vec<(&'static str, r2r::Client<GetParameters::Service>)>,
}

fn prepare(kit: &mut NodeKit<Nothing>) -> anyhow::Result<Conductor> {
    let params: GroundParams = kit.params()?;
    params.check()?;
    let out_dir = PathBuf::from(&params.out_dir);
    std::fs::create_dir_all(&out_dir).map_err(|e| {
        anyhow::anyhow!(
            "parameter out_dir: cannot create folder {}: {e}",
            out_dir.display()
        )
    })?;
    let mission = if params.mission_file.is_empty() {
        String::new()
    } else {
        files::read_text(
            Path::new(&params.mission_file),
            sojourn_core::params::MAX_CONFIG_BYTES,
        )?
    };
    approval::check_key(&params)?;
    kit.watch_nodes();
    let node = kit.node();
    let qos = r2r::QosProfile::services_default;
    let plan = node.create_client::<PlanRoute::Service>(topics::PLAN_ROUTE.name, qos())?;
    let verify = node.create_client::<VerifyPlan::Service>(topics::VERIFY_PLAN.name, qos())?;
    let uplink = node.create_client::<UplinkBundle::Service>(topics::UPLINK_BUNDLE.name, qos())?;
    let drive = node.create_action_client::<ExecuteDrive::Action>(topics::EXECUTE_DRIVE.name)?;
    let mut ready: Vec<(&'static str, Ready)> = vec![
        (
            topics::PLAN_ROUTE.name,
            Box::pin(r2r::Node::is_available(&plan)?),
        ),
        (
            topics::VERIFY_PLAN.name,
            Box::pin(r2r::Node::is_available(&verify)?),
        ),
        (
            topics::UPLINK_BUNDLE.name,
            Box::pin(r2r::Node::is_available(&uplink)?),
        ),
    ];
    if params.execute {
        ready.push((
            topics::EXECUTE_DRIVE.name,
            Box::pin(r2r::Node::is_available(&drive)?),
        ));
    }
    let greetings = greetings(node)?;
    Ok(Conductor {
        params,
        out_dir,
        mission,
        plan,
        verify,
        uplink,
        drive,
        ready,
        greetings,
    })
}

/// Clients of the parameter services of the nodes that will be asked. Discovery announces a node's readers and writers in the
/// order in which they were made, so who answers these, made last, knows the readers of all other answers, too.
fn greetings(
    node: &mut r2r::Node,
) -> anyhow::Result<Vec<(&'static str, r2r::Client<GetParameters::Service>)>> {
    [
        topics::PLAN_ROUTE,
        topics::VERIFY_PLAN,
        topics::UPLINK_BUNDLE,
    ]
    .into_iter()
    .map(|service| {
        let name = format!("{}/get_parameters", service.server);
        let client = node
            .create_client::<GetParameters::Service>(&name, r2r::QosProfile::services_default())?;
        Ok((service.server, client))
    })
    .collect()
}

async fn conduct(link: &mut Link, c: &mut Conductor) -> Result<(), End> {
    wait_for_others(link, c).await?;
    let plan = make_plan(link, c).await?;
    let report = verify(link, c, &plan).await?;
    let bundle = approve(link, c, &plan, &report).await?;
    send(link, c, &bundle).await?;
    if c.params.execute {
        drive(link, c, &bundle).await
    } else {
        say(&none(
            "READY",
            "the bundle is with the rover; it was not asked to drive",
        ));
        Ok(())
    }
}

async fn wait_for_others(link: &mut Link, c: &mut Conductor) -> Result<(), End> {
    let until = tokio::time::Instant::now() + seconds(c.params.wait_s);
    for (what, ready) in std::mem::take(&mut c.ready) {
        say(&Event::Waiting { what: what.into() });
        match link.wait(ready, Some(until)).await? {
            Waited::Done(result) => result?,
            Waited::TimedOut => {
                return Err(failed(format!(
                    "{what}: no node offers it after {} s; is it running, with the same ROS_DOMAIN_ID?",
                    c.params.wait_s
                )));
            }
        }
    }
    greet(link, c).await
}

/// Asks each of the other nodes for nothing until it answers, so that no answer that matters is lost: to see a service tells
/// that this node has found the server, not that the server has found this node. A node without parameter services never
/// answers and is asked its real question all the same.
async fn greet(link: &mut Link, c: &Conductor) -> Result<(), End> {
    let until = tokio::time::Instant::now() + seconds(c.params.discovery_s);
    for (who, client) in &c.greetings {
        loop {
            let now = tokio::time::Instant::now();
            if now >= until {
                tracing::warn!(
                    "{who} did not answer a greeting within {} s",
                    c.params.discovery_s
                );
                break;
            }
            let nothing = client.request(&GetParameters::Request::default())?;
            if let Waited::Done(Ok(_)) = link
                .wait(nothing, Some(until.min(now + GREETING_WAIT)))
                .await?
            {
                break;
            }
        }
    }
    Ok(())
}

async fn make_plan(link: &mut Link, c: &Conductor) -> Result<Plan, End> {
    let p = &c.params;
    let request = PlanRoute::Request {
        start: Point {
            x: p.start_x_m,
            y: p.start_y_m,
            z: 0.0,
        },
        goal: Point {
            x: p.goal_x_m,
            y: p.goal_y_m,
            z: 0.0,
        },
        mission: c.mission.clone(),
    };
    let answer = link
        .ask(c.plan.request(&request)?, p.plan_timeout_s, "the planner")
        .await?;
    if !answer.success {
        return Err(failed(format!("no plan: {}", answer.message)));
    }
    let plan = Plan::parse("the planner's plan", &answer.plan.document)?;
    if plan.digest()? != answer.plan.digest {
        return Err(failed(
            "the planner's plan does not have the digest that the planner says",
        ));
    }
    let file = c.out_dir.join("plan.json");
    write_pretty(&file, &plan)?;
    say(&Event::planned(&plan, &answer.message, &file)?);
    Ok(plan)
}

async fn verify(link: &mut Link, c: &Conductor, plan: &Plan) -> Result<Report, End> {
    let document = String::from_utf8(sojourn_core::plan::canonical("plan", plan)?)?;
    let request = VerifyPlan::Request {
        plan_document: document,
    };
    let answer = link
        .ask(
            c.verify.request(&request)?,
            c.params.verify_timeout_s,
            "the twin",
        )
        .await?;
    if !answer.success {
        return Err(failed(format!("no verification: {}", answer.message)));
    }
    let report = Report::parse("the twin's report", &answer.report.document)?;
    let file = c.out_dir.join("verification.json");
    write_pretty(&file, &report)?;
    say(&Event::verified(&report, &file)?);
    if !report.passed {
        return Err(End::Code(
            exit::REJECTED,
            none(
                "IDLE",
                &format!("the twin rejected the plan: {}", report.reason),
            ),
        ));
    }
    Ok(report)
}

async fn approve(
    link: &mut Link,
    c: &Conductor,
    plan: &Plan,
    report: &Report,
) -> Result<Bundle, End> {
    let granted = approval::get(link, &c.params, plan, report).await?;
    let xml = approval::plan_xml(&c.out_dir.join("plan.xml"), plan);
    let made = Bundle::new(plan, report, &granted.signed, xml.as_deref())
        .map_err(anyhow::Error::from)
        .and_then(|b| {
            let dir = c.out_dir.join("bundle");
            b.write(&dir)?;
            Ok((b, dir))
        });
    granted.answer(
        made.as_ref()
            .map(|(b, _)| b.id().to_string())
            .map_err(ToString::to_string),
    );
    let (bundle, dir) = made?;
    say(&Event::Approved {
        bundle_id: bundle.id().into(),
        signer: bundle.approval().approval.signer.clone(),
        purpose: bundle.approval().approval.purpose.name().into(),
        bundle_dir: dir.display().to_string(),
    });
    Ok(bundle)
}

async fn send(link: &mut Link, c: &Conductor, bundle: &Bundle) -> Result<(), End> {
    let mut request = UplinkBundle::Request {
        bundle_id: bundle.id().into(),
        ..Default::default()
    };
    for (name, bytes) in bundle.files() {
        request.file_names.push(name.clone());
        request.contents.push(String::from_utf8(bytes.clone())?);
    }
    let answer = link
        .ask(
            c.uplink.request(&request)?,
            c.params.wait_s,
            "the executive",
        )
        .await?;
    if !answer.accepted {
        return Err(failed(format!(
            "the rover refused the bundle: {}",
            answer.message
        )));
    }
    say(&Event::Uplinked {
        bundle_id: bundle.id().into(),
        message: answer.message,
    });
    Ok(())
}

async fn drive(link: &mut Link, c: &Conductor, bundle: &Bundle) -> Result<(), End> {
    let goal = ExecuteDrive::Goal {
        bundle_id: bundle.id().into(),
    };
    let sent = c.drive.send_goal_request(goal)?;
    let until = tokio::time::Instant::now() + seconds(c.params.wait_s);
    let accepted = match link.wait(sent, Some(until)).await? {
        Waited::Done(result) => result,
        Waited::TimedOut => return Err(failed("the executive did not answer the order to drive")),
    };
    let refused = |why: &str| {
        failed(format!(
            "the executive refused to drive bundle {}: {why}",
            bundle.id()
        ))
    };
    let (goal, result, mut feedback) = accepted.map_err(|e| refused(&e.to_string()))?;
    let mut result = Box::pin(result);
    let mut said_at: Option<tokio::time::Instant> = None;
    let mut said_state = u8::MAX;
    let ended = loop {
        let until = tokio::time::Instant::now() + seconds(c.params.silence_s);
        let next = async {
            tokio::select! {
                biased;
                Some(f) = futures::StreamExt::next(&mut feedback) => Ok(f.status),
                r = &mut result => Err(r),
            }
        };
        match link.wait(next, Some(until)).await {
            Ok(Waited::Done(Ok(status))) => {
                if said_at.is_none() {
                    say(&Event::Driving {
                        bundle_id: bundle.id().into(),
                        planned_m: bundle.plan().distance_m,
                    });
                    say(&link.nodes());
                }
                let due =
                    said_at.is_none_or(|at| at.elapsed() >= seconds(c.params.progress_every_s));
                if due || status.state != said_state {
                    said_at = Some(tokio::time::Instant::now());
                    said_state = status.state;
                    say(&progress(&status));
                }
            }
            Ok(Waited::Done(Err(ended))) => break ended,
            Ok(Waited::TimedOut) => {
                cancel(&goal).await;
                return Err(failed(format!(
                    "nothing was heard of the drive for {} s",
                    c.params.silence_s
                )));
            }
            Err(End::Signal) => {
                cancel(&goal).await;
                return Err(End::Signal);
            }
            Err(other) => return Err(other),
        }
    };
    let (_, result) = ended.map_err(|e| failed(format!("the drive's result was lost: {e}")))?;
    // A refused order has a result too, for its reason; the state in it is no end of a drive.
    if !DriveState::from_number(result.state).is_some_and(DriveState::is_end) {
        return Err(refused(&result.reason));
    }
    say(&link.nodes());
    let finished = Event::Finished {
        reached: result.reached,
        state: state_name(result.state).into(),
        reason: result.reason,
        distance_driven_m: result.distance_driven_m,
        goal_error_estimate_m: result.goal_error_estimate_m,
    };
    if result.reached {
        say(&finished);
        return Ok(());
    }
    Err(End::Code(exit::NOT_REACHED, finished))
}

async fn cancel(goal: &r2r::ActionClientGoal<ExecuteDrive::Action>) {
    let asked = match goal.cancel() {
        Ok(asked) => asked,
        Err(e) => return tracing::error!("cannot cancel the drive: {e}"),
    };
    match tokio::time::timeout(CANCEL_WAIT, asked).await {
        Ok(Ok(())) => tracing::info!("the drive is cancelled"),
        Ok(Err(e)) => tracing::error!("the drive could not be cancelled: {e}"),
        Err(_) => tracing::error!("the executive did not answer the cancellation"),
    }
}

fn progress(status: &r2r::sojourn_msgs::msg::DriveStatus) -> Event {
    Event::Progress {
        driven_m: status.distance_driven_m,
        planned_m: status.distance_planned_m,
        to_goal_m: status.distance_to_goal_m,
        state: state_name(status.state).into(),
        waypoint: status.waypoint_index,
        waypoints: status.waypoint_count,
        reason: status.reason.clone(),
    }
}

fn state_name(number: u8) -> &'static str {
    DriveState::from_number(number).map_or("UNKNOWN", DriveState::name)
}

pub(crate) fn seconds(s: f64) -> Duration {
    // Parameters are checked to be finite and positive.
    Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX)
}

fn write_pretty(path: &Path, document: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    Ok(files::write_atomic(path, &text)?)
}
