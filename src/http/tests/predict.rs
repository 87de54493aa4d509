//! The server of predictions.

use super::{ask, connect, get, head};
use crate::{
    frame::{Channels, Confidence, Image},
    geometry::Size,
    http::{
        ApiKey, ModelInfo, Picture, PredictError, Prediction, PredictionParams, PredictionServer,
        Predictor, RequestDone, ServeOptions, SessionPredictor, Shape, ShapeType,
    },
    session::Session,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    io::{Cursor, Write},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// A model `size` that gives a rectangle of the picture, and waits before it where it is given a gate; `panic` panics.
#[derive(Default)]
struct Fake {
    gate: Option<Gate>,
}

/// Says that it begins, then waits.
struct Gate {
    begins: Sender<()>,
    goes_on: Receiver<()>,
}

fn info(id: &str) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        display_name: id.to_uppercase(),
        widgets: Vec::new(),
        classes: vec!["thing".to_owned()],
        batch_processing_mode: Some("default".to_owned()),
    }
}

impl Predictor for Fake {
    fn models(&self) -> Vec<ModelInfo> {
        vec![info("size"), info("panic")]
    }

    fn predict(
        &mut self,
        model: &str,
        picture: Picture,
        params: &PredictionParams,
    ) -> Result<Prediction, PredictError> {
        assert_ne!(model, "panic", "as the test wants it");
        if let Some(gate) = &self.gate {
            gate.begins.send(()).unwrap();
            gate.goes_on.recv().unwrap();
        }
        if params.conf_threshold == Some(2.0) {
            return Err(PredictError::Params("conf_threshold 2".to_owned()));
        }
        let (width, height) = (picture.size().width.into(), picture.size().height.into());
        Ok(Prediction {
            shapes: vec![Shape {
                label: "thing".to_owned(),
                shape_type: ShapeType::Rectangle,
                points: vec![[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]],
                score: Some(0.5),
                group_id: None,
            }],
            ..Prediction::default()
        })
    }
}

fn start(predictor: impl Predictor + 'static, options: &ServeOptions) -> PredictionServer {
    let options = ServeOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..options.clone()
    };
    PredictionServer::start(&options, predictor, Arc::new(())).unwrap()
}

/// A grey picture as PNG in base64.
fn png(width: u32, height: u32) -> String {
    let mut bytes = Cursor::new(Vec::new());
    let picture = image::GrayImage::from_fn(width, height, |x, y| image::Luma([(x * 3 + y) as u8]));
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    STANDARD.encode(bytes.into_inner())
}

fn post(body: &str) -> String {
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    head("POST", "/v1/predict", &headers) + body
}

fn predict(model: &str, params: &str) -> String {
    let image = png(7, 5);
    post(&format!(
        r#"{{"model": "{model}", "image": "data:image/png;base64,{image}", "params": {params}}}"#
    ))
}

fn json(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[test]
fn calls_are_answered_in_the_form_that_the_client_reads() {
    let server = start(Fake::default(), &ServeOptions::default());
    let address = server.address();
    let (status, answer) = ask(address, &get("/health"));
    let health = json(&answer);
    assert_eq!((status, &health["models_loaded"]), (200, &2.into()));
    assert_eq!(health["status"], "healthy");
    let models = json(&ask(address, &get("/v1/models")).1);
    assert_eq!(models["data"]["size"]["display_name"], "SIZE");
    assert_eq!(
        models["data"]["size"]["capabilities"],
        serde_json::json!({})
    );
    let info = json(&ask(address, &get("/v1/models/size/info")).1);
    assert_eq!(info["data"]["model_id"], "size");
    let (status, answer) = ask(address, &predict("size", "{}"));
    let found = json(&answer);
    assert_eq!((status, &found["success"]), (200, &true.into()), "{answer}");
    let shape = &found["data"]["shapes"][0];
    assert_eq!(shape["points"][2], serde_json::json!([7.0, 5.0]));
    for field in [
        "attributes",
        "description",
        "difficult",
        "direction",
        "flags",
        "group_id",
        "kie_linking",
    ] {
        assert!(shape.get(field).is_some(), "{field}");
    }
    assert!(found["data"].get("replace").is_none());
}

#[test]
fn what_is_wrong_has_a_status_a_code_and_words() {
    let server = start(
        Fake::default(),
        &ServeOptions {
            max_bytes: 2000,
            max_pixels: 100,
            ..ServeOptions::default()
        },
    );
    let large = format!(r#"{{"model": "size", "image": "{}"}}"#, png(20, 20));
    let long = "Content-Type: application/json\r\nContent-Length: 2001\r\n";
    let chunked = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let chunks = format!("800\r\n{}\r\n0\r\n\r\n", " ".repeat(0x800));
    for (request, status, code) in [
        (get("/"), 404, "NOT_FOUND"),
        (get("/../../etc/passwd"), 404, "NOT_FOUND"),
        (get("/v1/models/other/info"), 404, "MODEL_NOT_FOUND"),
        (get("/v1/predict"), 405, "METHOD_NOT_ALLOWED"),
        (head("POST", "/health", ""), 405, "METHOD_NOT_ALLOWED"),
        (
            head("OPTIONS", "/v1/predict", ""),
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (
            head("POST", "/v1/predict", ""),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (post("{}"), 400, "INVALID_REQUEST"),
        (
            post(r#"{"model": "size", "image": "?"}"#),
            422,
            "INVALID_IMAGE",
        ),
        (post(&large), 413, "IMAGE_TOO_LARGE"),
        (predict("other", "{}"), 404, "MODEL_NOT_FOUND"),
        (
            predict("size", r#"{"conf_threshold": 2.0}"#),
            422,
            "INVALID_PARAMS",
        ),
        (predict("panic", "{}"), 500, "INFERENCE_ERROR"),
        (head("POST", "/v1/predict", long), 413, "PAYLOAD_TOO_LARGE"),
        (
            head("POST", "/v1/predict", chunked) + &chunks,
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (
            head("GET", "/health", "Origin: http://example.org\r\n"),
            403,
            "FORBIDDEN",
        ),
        (
            get("/health").replace("localhost", "example.org"),
            403,
            "FORBIDDEN",
        ),
        (
            "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            400,
            "BAD_REQUEST",
        ),
    ] {
        let (found, answer) = ask(server.address(), &request);
        assert_eq!(found, status, "{request}\n{answer}");
        let error = &json(&answer)["error"];
        assert_eq!(error["code"], code, "{answer}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()));
        assert!(!answer.contains("Access-Control"), "{answer}");
    }
    // After all of it, and a panic of the models, it still answers.
    assert_eq!(ask(server.address(), &predict("size", "{}")).0, 200);
}

#[test]
fn one_request_is_worked_on_some_wait_and_more_are_refused() {
    let (begins, begun) = channel();
    let (go_on, goes_on) = channel();
    let gate = Some(Gate { begins, goes_on });
    let server = start(
        Fake { gate },
        &ServeOptions {
            queue: 1,
            ..ServeOptions::default()
        },
    );
    let address = server.address();
    let later = || thread::spawn(move || ask(address, &predict("size", "{}")).0);
    let first = later();
    begun.recv().unwrap();
    let second = later();
    // The second may not have been queued yet: then the next is, and waits in its place.
    let mut refused = None;
    let mut others = Vec::new();
    for _ in 0..3 {
        let other = thread::spawn(move || ask(address, &predict("size", "{}")));
        thread::sleep(Duration::from_millis(300));
        if other.is_finished() {
            refused = Some(other.join().unwrap());
            break;
        }
        others.push(other);
    }
    let (status, answer) = refused.expect("a request is refused");
    assert_eq!(status, 503, "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 1"), "{answer}");
    // What is no prediction is answered meanwhile.
    assert_eq!(ask(address, &get("/health")).0, 200);
    for _ in 0..8 {
        let _ = go_on.send(());
    }
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (200, 200));
    for other in others {
        assert_eq!(other.join().unwrap().0, 200);
    }
}

#[test]
fn a_key_is_required_of_all_but_health() {
    let options = ServeOptions {
        api_key: Some(ApiKey::new("s3cret").unwrap()),
        ..ServeOptions::default()
    };
    let server = start(Fake::default(), &options);
    let with = |headers: &str| ask(server.address(), &head("GET", "/v1/models", headers)).0;
    assert_eq!(with(""), 401);
    assert_eq!(with("Token: other\r\n"), 401);
    assert_eq!(with("Token: s3cret\r\n"), 200);
    assert_eq!(ask(server.address(), &get("/health")).0, 200);
    let (status, answer) = ask(server.address(), &predict("size", "{}"));
    assert_eq!(status, 401);
    assert!(!answer.contains("s3cret"));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let options = ServeOptions {
        body_time: Duration::from_millis(200),
        ..ServeOptions::default()
    };
    let server = start(Fake::default(), &options);
    let headers = "Content-Type: application/json\r\nContent-Length: 500\r\n";
    let begun = head("POST", "/v1/predict", headers) + r#"{"model":"#;
    let (status, answer) = ask(server.address(), &begun);
    assert_eq!(status, 408, "{answer}");
}

#[test]
fn requests_are_observed_and_dropping_ends_the_server() {
    let seen: Arc<Mutex<Vec<(String, u16, bool)>>> = Arc::default();
    let noting = seen.clone();
    let observer = move |done: RequestDone<'_>| {
        let entry = (done.path.to_owned(), done.status, done.problem.is_some());
        noting.lock().unwrap().push(entry);
    };
    let options = ServeOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..ServeOptions::default()
    };
    let server = PredictionServer::start(&options, Fake::default(), Arc::new(observer)).unwrap();
    let address = server.address();
    ask(address, &get("/health"));
    ask(address, &get("/other"));
    let expected = [
        ("/health".to_owned(), 200, false),
        ("/other".to_owned(), 404, true),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
    // A connection that says nothing does not hold it.
    let mut silent = connect(address);
    silent.write_all(b"GET /hea").unwrap();
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn an_address_that_is_in_use_is_an_error_with_the_address() {
    let server = start(Fake::default(), &ServeOptions::default());
    let options = ServeOptions {
        listen: server.address(),
        ..ServeOptions::default()
    };
    let error = PredictionServer::start(&options, Fake::default(), Arc::new(())).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&server.address().to_string()), "{text}");
}

#[test]
fn sessions_answer_with_what_they_find_themselves() {
    let size = Size::new(64, 48);
    let pixels = (0..size.pixels()).map(|at| (at * 13 % 256) as u8).collect();
    let picture = Arc::new(Image::new(size, Channels::Gray, pixels).unwrap());
    let detector = || {
        Session::builder()
            .without_segmenter()
            .confidence(0.0)
            .max_objects(3)
    };
    let segmenter = Session::builder().without_detector().build().unwrap();
    let found = detector().build().unwrap().run(picture.clone()).unwrap();
    let mut predictor = SessionPredictor::new(
        Some(detector().build().unwrap()),
        Some(segmenter),
        Confidence::ZERO,
    );
    let params = PredictionParams::default();
    let boxes = predictor
        .predict("ultramotion-detect", picture.clone(), &params)
        .unwrap();
    assert_eq!(boxes.shapes.len(), 3);
    for (shape, object) in boxes.shapes.iter().zip(&found) {
        assert_eq!(
            (&*shape.label, shape.score),
            (&*object.label, Some(object.score))
        );
        assert_eq!(
            shape.points[0],
            [object.bbox.x0, object.bbox.y0].map(f64::from)
        );
    }
    let second = f64::from(found.objects[1].score);
    let params = PredictionParams {
        conf_threshold: Some(second),
        ..PredictionParams::default()
    };
    let fewer = predictor
        .predict("ultramotion-detect", picture.clone(), &params)
        .unwrap();
    assert_eq!(fewer.shapes.len(), 2);
    let mark = r#"{"marks": [{"type": "point", "data": [99, 3]}]}"#;
    let outside: PredictionParams = serde_json::from_str(mark).unwrap();
    let refused = predictor.predict("ultramotion-segment", picture, &outside);
    assert!(
        matches!(&refused, Err(PredictError::Params(text)) if text.contains("outside of the image")),
        "{refused:?}"
    );
}
