//! The calls and their answers.

use super::{
    key::ApiKey,
    options::ServeOptions,
    queue::{NotQueued, Queue},
    types::{ModelInfo, PredictError},
};
use crate::{
    http::{
        reply::{Reply, json, problem, with},
        service::{Answer, Service},
    },
    progress::Observer,
};
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use serde_json::{Map, Value, json as value};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::timeout};

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestDone<'a> {
    /// GET or POST.
    pub method: &'a str,
    /// The path, with the name of a model.
    pub path: &'a str,
    /// Status of the answer.
    pub status: u16,
    /// What was wrong, where something was.
    pub problem: Option<&'a str>,
    /// From the head of the request to the answer.
    pub time: Duration,
}

/// An answer that is no success.
struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// A further header.
    header: Option<(hyper::header::HeaderName, &'static str)>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    fn with(self, name: hyper::header::HeaderName, value: &'static str) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    fn reply(&self) -> Reply {
        let reply = problem(self.status, self.code, &self.message);
        match &self.header {
            Some((name, value)) => with(reply, name.clone(), value),
            None => reply,
        }
    }
}

impl From<PredictError> for Problem {
    fn from(error: PredictError) -> Self {
        let (status, code) = match &error {
            PredictError::Request(_) => (StatusCode::BAD_REQUEST, "INVALID_REQUEST"),
            PredictError::Model { .. } => (StatusCode::NOT_FOUND, "MODEL_NOT_FOUND"),
            PredictError::Image(_) => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_IMAGE"),
            PredictError::ImageSize(_) => (StatusCode::PAYLOAD_TOO_LARGE, "IMAGE_TOO_LARGE"),
            PredictError::Params(_) => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_PARAMS"),
            PredictError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INFERENCE_ERROR"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// A success.
#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

fn success<T: Serialize>(data: T) -> Reply {
    json(
        StatusCode::OK,
        &Success {
            success: true,
            data,
        },
    )
}

/// What the server answers with.
pub(super) struct Routes {
    /// All models by name, as clients list them.
    models: Map<String, Value>,
    queue: Queue,
    /// Requests whose body is in memory.
    bodies: Semaphore,
    api_key: Option<ApiKey>,
    max_bytes: usize,
    body_time: Duration,
    observer: Arc<dyn for<'a> Observer<RequestDone<'a>>>,
}

impl Routes {
    pub(super) fn new(
        options: &ServeOptions,
        models: &[ModelInfo],
        queue: Queue,
        observer: Arc<dyn for<'a> Observer<RequestDone<'a>>>,
    ) -> Self {
        let entry = |model: &ModelInfo| {
            let mut entry = serde_json::to_value(model).unwrap_or_default();
            // Nothing of the server's own, such as a path, is stated here.
            entry["params"] = value!({});
            entry["capabilities"] = value!({});
            (model.id.clone(), entry)
        };
        Self {
            models: models.iter().map(entry).collect(),
            queue,
            bodies: Semaphore::new(options.queue.saturating_add(2)),
            api_key: options.api_key.clone(),
            max_bytes: options.max_bytes,
            body_time: options.body_time,
            observer,
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Reply, Problem> {
        let path = request.uri().path().to_owned();
        if path != "/health" {
            self.authorised(&request)?;
        }
        let model = path
            .strip_prefix("/v1/models/")
            .and_then(|rest| rest.strip_suffix("/info"));
        match (path.as_str(), model) {
            ("/health", _) => only(&request, Method::GET).map(|()| self.health()),
            ("/v1/models", _) => only(&request, Method::GET).map(|()| success(&self.models)),
            ("/v1/predict", _) => {
                only(&request, Method::POST)?;
                self.predict(request).await
            }
            (_, Some(model)) => only(&request, Method::GET).and_then(|()| self.info(model)),
            _ => Err(Problem::new(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "there is no such call; there are GET /health, GET /v1/models, GET /v1/models/NAME/info and POST /v1/predict",
            )),
        }
    }

    fn authorised(&self, request: &Request<Incoming>) -> Result<(), Problem> {
        let shown = request.headers().get("token").map(|value| value.as_bytes());
        match &self.api_key {
            Some(key) if !shown.is_some_and(|shown| key.is(shown)) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "the header Token does not have this server's API key",
            )),
            _ => Ok(()),
        }
    }

    fn health(&self) -> Reply {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let state = value!({
            "status": "healthy",
            "models_loaded": self.models.len(),
            "timestamp": now,
        });
        json(StatusCode::OK, &state)
    }

    fn info(&self, model: &str) -> Result<Reply, Problem> {
        let entry = self.models.get(model).ok_or_else(|| {
            let known: Vec<&str> = self.models.keys().map(String::as_str).collect();
            PredictError::Model {
                name: model.chars().take(100).collect(),
                known: known.join(", "),
            }
        })?;
        let mut entry = entry.clone();
        entry["model_id"] = value!(model);
        Ok(success(entry))
    }

    async fn predict(&self, request: Request<Incoming>) -> Result<Reply, Problem> {
        // Pages of other sites can send forms and plain text without the server's consent, but not JSON.
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                format!("Content-Type {kind:?}: send application/json"),
            ));
        }
        let _place = self.bodies.try_acquire().map_err(|_| full())?;
        let body = self.body(request).await?;
        let later = self.queue.push(body).map_err(|error| match error {
            NotQueued::Full => full(),
            NotQueued::Ended => ended(),
        })?;
        Ok(success(later.await.map_err(|_| ended())??))
    }

    async fn body(&self, request: Request<Incoming>) -> Result<Bytes, Problem> {
        let too_large = || {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "PAYLOAD_TOO_LARGE",
                format!("the request has more than {} bytes", self.max_bytes),
            )
        };
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_bytes as u64) {
            return Err(too_large());
        }
        let body = Limited::new(request.into_body(), self.max_bytes).collect();
        match timeout(self.body_time, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "INVALID_REQUEST",
                format!("the request's body broke off: {error}"),
            )),
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                format!(
                    "the request's body was not there after {} s",
                    self.body_time.as_secs()
                ),
            )),
        }
    }
}

fn full() -> Problem {
    let message = "as many requests wait as may; try again in a second";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "QUEUE_FULL", message).with(RETRY_AFTER, "1")
}

fn ended() -> Problem {
    let message = "the models have ended";
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "INFERENCE_ERROR",
        message,
    )
}

/// Refuses other methods than `method`.
fn only(request: &Request<Incoming>, method: Method) -> Result<(), Problem> {
    if *request.method() == method {
        return Ok(());
    }
    let message = format!(
        "{} {}: send {method}",
        request.method(),
        request.uri().path()
    );
    let allowed = if method == Method::GET { "GET" } else { "POST" };
    Err(Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        message,
    )
    .with(ALLOW, allowed))
}

impl Service for Routes {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let start = Instant::now();
            let method = request.method().clone();
            let path = request.uri().path().to_owned();
            let answered = self.route(request).await;
            let (status, wrong) = match &answered {
                Ok(reply) => (reply.status(), None),
                Err(problem) => (problem.status, Some(problem.message.as_str())),
            };
            self.observer.event(RequestDone {
                method: method.as_str(),
                path: &path,
                status: status.as_u16(),
                problem: wrong,
                time: start.elapsed(),
            });
            answered.unwrap_or_else(|problem| problem.reply())
        })
    }
}
