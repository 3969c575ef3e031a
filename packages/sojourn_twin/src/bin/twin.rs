//! The node `twin`: verifies plans on request. A thin shell around [`sojourn_twin::verify`].

use futures::{StreamExt, stream::FuturesUnordered};
use r2r::sojourn_msgs::{
    msg::{Finding, VerificationReport},
    srv::VerifyPlan,
};
use sojourn_core::{
    Stamp,
    health::{Health, NodeState},
    plan::{Plan, canonical, digest_of},
    report::Report,
    rover::Rover,
    site::Site,
    topics,
};
use sojourn_ros::{Event, NodeKit, answer, header, run_node};
use sojourn_twin::{
    params::TwinParams,
    verify::{Setup, VerifyOptions, verify},
};
use std::{path::Path, process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    run_node("twin", twin)
}

/// What plans are verified on.
struct Ground {
    site: Site,
    rover: Rover,
    setup: Setup,
}

async fn twin(mut kit: NodeKit<()>) -> anyhow::Result<()> {
    let params: TwinParams = kit.params()?;
    let ground = Arc::new(Ground {
        site: Site::load(Path::new(&params.site_dir))?,
        rover: Rover::load(Path::new(&params.rover_file))?,
        setup: Setup::load(Path::new(&params.config_dir))?,
    });
    tracing::info!(
        "verifies plans for {} on {} ({})",
        ground.rover.name,
        ground.site.manifest.name,
        digest_of("rover", &ground.rover)?
    );
    let reports = kit.publisher::<VerificationReport>(&topics::VERIFICATION)?;
    let mut requests = kit.node().create_service::<VerifyPlan::Service>(
        topics::VERIFY_PLAN.name,
        r2r::QosProfile::services_default(),
    )?;
    let mut node = kit.run()?;
    let mut at_work = FuturesUnordered::new();
    let mut last = String::from("no plan verified yet");
    loop {
        let event = tokio::select! {
            event = node.next() => event?,
            Some(request) = requests.next() => {
                let ground = ground.clone();
                let document = request.message.plan_document.clone();
                let work = tokio::task::spawn_blocking(move || drive(&document, &ground));
                at_work.push(async move { (request, work.await) });
                continue;
            }
            Some((request, outcome)) = at_work.next() => {
                // A panic in a worker is an answer too, not the end of the node.
                let outcome = outcome.unwrap_or_else(|e| Err(anyhow::anyhow!("verification broke off: {e}")));
                let response = match outcome.and_then(|report| to_msg(node.now(), &report)) {
                    Ok(report) => {
                        last = report.reason.clone();
                        tracing::info!("{}: {last}", if report.passed { "passed" } else { "rejected" });
                        reports.publish(&report)?;
                        VerifyPlan::Response { success: true, message: report.reason.clone(), report }
                    }
                    Err(e) => {
                        last = format!("{e:#}");
                        tracing::warn!("refused: {last}");
                        VerifyPlan::Response { success: false, message: last.clone(), ..Default::default() }
                    }
                };
                answer(request, response);
                continue;
            }
        };
        match event {
            Event::Tick(_) => {
                let state = if at_work.is_empty() {
                    NodeState::Idle
                } else {
                    NodeState::Active
                };
                node.diagnostic("last_verdict", &last);
                node.done(Health::ok(state))?;
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}

fn drive(document: &str, ground: &Ground) -> anyhow::Result<Report> {
    let plan = Plan::parse("plan_document", document)?;
    Ok(verify(
        &plan,
        &ground.site,
        &ground.rover,
        &ground.setup,
        VerifyOptions::standard(),
    )?)
}

fn to_msg(now: Stamp, report: &Report) -> anyhow::Result<VerificationReport> {
    let findings = report.findings.iter().map(|f| Finding {
        channel: f.channel.clone(),
        value: f.value,
        limit: f.limit,
        x_m: f.x_m,
        y_m: f.y_m,
        distance_m: f.distance_m,
        time_s: f.time_s,
        reason: f.reason.clone(),
    });
    Ok(VerificationReport {
        header: header(now, "map"),
        plan_digest: report.plan_digest.clone(),
        passed: report.passed,
        reason: report.reason.clone(),
        values_checked: report.values_checked,
        max_tilt_rad: report.max_tilt_deg.to_radians(),
        min_clearance_m: report.min_clearance_m,
        max_slip: report.max_slip,
        distance_m: report.distance_m,
        duration_s: report.duration_s,
        findings: findings.collect(),
        document: String::from_utf8(canonical("report", report)?)?,
    })
}
