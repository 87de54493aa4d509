use super::*;

fn params() -> Params {
    let t = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let tensors = [("a.weight", t(&[2, 3])), ("a.extra", t(&[1]))].map(|(n, t)| (n.to_owned(), t));
    Params::new("some.safetensors", tensors.into(), &Engine::cpu())
}

#[test]
fn a_generator_makes_what_is_asked_for_and_remembers_it() {
    let p = Params::generated("new", &Engine::cpu(), |_, shape| {
        Tensor::ones(shape, DType::F32, &Device::Cpu)
    });
    assert_eq!(
        p.scope("a")
            .get("w", &[2, 2])
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap(),
        4.0
    );
    assert!(p.get("a.w", &[4]).is_err());
    assert_eq!(p.tensors().keys().collect::<Vec<_>>(), ["a.w"]);
}

#[test]
fn values_that_are_not_finite_are_an_error_that_names_the_tensor() {
    for (value, dtype) in [
        (f32::NAN, DType::F32),
        (f32::INFINITY, DType::F16),
        (f32::NEG_INFINITY, DType::BF16),
    ] {
        let bad = Tensor::new(&[1.0, value, 2.0, value], &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let p = Params::new(
            "x.pth",
            [("head.weight".to_owned(), bad)].into(),
            &Engine::cpu(),
        );
        let error = p.scope("head").get("weight", &[4]).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "x.pth: tensor head.weight: 2 of 4 values are not finite (NaN or infinity);"
            ),
            "{error}"
        );
        assert!(p.peek("head.weight").is_some());
    }
}

#[test]
fn missing_misshapen_and_unknown_tensors_are_named() {
    let p = params();
    let a = p.scope("a");
    assert!(
        a.get("bias", &[2])
            .unwrap_err()
            .to_string()
            .contains("tensor a.bias of shape [2] is missing")
    );
    assert!(
        a.get("weight", &[3, 2])
            .unwrap_err()
            .to_string()
            .contains("has shape [2, 3], the model needs [3, 2]")
    );
    a.get("weight", &[2, 3]).unwrap();
    assert!(
        p.finish(|_| false)
            .unwrap_err()
            .to_string()
            .contains("1 tensor is not part of the model: a.extra")
    );
    p.finish(|name| name.ends_with("extra")).unwrap();
}

#[test]
fn a_builder_of_candle_nn_takes_tensors_under_the_same_accounting() {
    let p = params();
    let builder = p.var_builder();
    let a = builder.pp("a");
    assert!(a.contains_tensor("weight") && !a.contains_tensor("bias"));
    let missing = candle_nn::linear(3, 2, a.clone()).unwrap_err().to_string();
    assert!(
        missing.contains("some.safetensors: tensor a.bias of shape [2] is missing"),
        "{missing}"
    );
    let misshapen = a.get((3, 2), "weight").unwrap_err().to_string();
    assert!(
        misshapen.contains("has shape [2, 3], the model needs [3, 2]"),
        "{misshapen}"
    );
    let layer = candle_nn::linear_no_bias(3, 2, a.clone()).unwrap();
    assert_eq!(layer.weight().dims(), [2, 3]);
    let unknown = p.finish(|_| false).unwrap_err().to_string();
    assert!(
        unknown.contains("1 tensor is not part of the model: a.extra"),
        "{unknown}"
    );
    assert_eq!(a.get_unchecked("extra").unwrap().dims(), [1]);
    assert!(a.get_unchecked("nothing").is_err());
    p.finish(|_| false).unwrap();
    let scoped = p.scope("a").var_builder();
    assert!(scoped.contains_tensor("weight"));
}
