//! The digital twin at the other end of the service `verify_plan`, for the conversation with a model.

use r2r::QosProfile;
use r2r::rcl_interfaces::srv::GetParameters;
use r2r::sojourn_msgs::srv::VerifyPlan;
use sojourn_core::plan::{Plan, canonical};
use sojourn_core::report::Report;
use sojourn_core::topics;
use sojourn_planner::model::NoReport;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

/// How long the answer to one greeting is waited for before the next is sent.
const GREETING_WAIT: Duration = Duration::from_millis(250);
/// How often the twin is greeted before it counts as not there.
const GREETINGS: usize = 40;

/// A plan that the twin is to drive, and where its word goes.
pub struct Question {
    plan_document: String,
    answer: oneshot::Sender<Result<Report, NoReport>>,
}

/// Puts a plan to the twin from the planner's own thread and waits for its word.
pub fn drive(ask: Option<&UnboundedSender<Question>>, plan: &Plan) -> Result<Report, NoReport> {
    let own = |e: String| NoReport::Unheard(format!("it was not asked: {e}"));
    let document = canonical("plan", plan).map_err(|e| own(e.to_string()))?;
    let plan_document = String::from_utf8(document).map_err(|e| own(e.to_string()))?;
    let (answer, word) = oneshot::channel();
    let question = Question {
        plan_document,
        answer,
    };
    let sent = ask.is_some_and(|ask| ask.send(question).is_ok());
    let report = match word.blocking_recv() {
        Ok(said) if sent => said?,
        _ => return Err(own("the node stops".into())),
    };
    let digest = plan.digest().map_err(|e| own(e.to_string()))?;
    if report.plan_digest != digest {
        return Err(NoReport::Unheard(
            "it reported on another plan than it was asked about".into(),
        ));
    }
    Ok(report)
}

/// The clients by which the twin is asked.
pub struct TwinLink {
    verify: r2r::Client<VerifyPlan::Service>,
    greeting: r2r::Client<GetParameters::Service>,
    timeout: Duration,
}

impl TwinLink {
    pub fn new(node: &mut r2r::Node, timeout_s: f64) -> r2r::Result<Self> {
        let service = topics::VERIFY_PLAN;
        let greeting = format!("{}/get_parameters", service.server);
        Ok(Self {
            verify: node.create_client(service.name, QosProfile::services_default())?,
            greeting: node.create_client(&greeting, QosProfile::services_default())?,
            // The parameter is checked to be finite and positive.
            timeout: Duration::try_from_secs_f64(timeout_s).unwrap_or(Duration::MAX),
        })
    }

    /// Asks; whoever put the question may have gone away meanwhile.
    pub async fn ask(&self, question: Question) {
        let said = self.verified(question.plan_document).await;
        let _ = question.answer.send(said);
    }

    async fn verified(&self, plan_document: String) -> Result<Report, NoReport> {
        let unheard = |why: String| NoReport::Unheard(why);
        if !self.greeted().await {
            return Err(unheard(format!(
                "no node {} answered within {} s",
                topics::VERIFY_PLAN.server,
                GREETING_WAIT.as_secs_f64() * GREETINGS as f64
            )));
        }
        let asked = self
            .verify
            .request(&VerifyPlan::Request { plan_document })
            .map_err(|e| unheard(format!("it could not be asked: {e}")))?;
        let answer = match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => return Err(unheard(format!("its answer was lost: {e}"))),
            Err(_) => {
                return Err(unheard(format!(
                    "it gave no answer within {} s",
                    self.timeout.as_secs_f64()
                )));
            }
        };
        if !answer.success {
            return Err(NoReport::Undrivable(answer.message));
        }
        Report::parse("the twin's report", &answer.report.document)
            .map_err(|e| unheard(format!("its report cannot be read: {e}")))
    }

    /// Asks the twin's node for no parameters until it answers: to see a service tells that this node has found the server,
    /// not that the server has found this node, and an answer to somebody who is not known yet is lost.
    async fn greeted(&self) -> bool {
        for _ in 0..GREETINGS {
            let Ok(asked) = self.greeting.request(&GetParameters::Request::default()) else {
                return false;
            };
            if let Ok(Ok(_)) = tokio::time::timeout(GREETING_WAIT, asked).await {
                return true;
            }
        }
        false
    }
}
