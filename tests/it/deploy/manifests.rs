//! The YAML of the templates, read by PyYAML and held against the fields that Kubernetes and Docker compose know: a
//! field that they do not know, one that is missing and one of another type are found, and so are names that nothing
//! bears.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

use super::{check_command, folder};

/// Fields of each kind of object, `!` after those that must be there, and after the colon what they hold: text, count,
/// flag, quantity, an object of the table, a list `[..]` or a map by name `{..}` of these. From the references of
/// Kubernetes (core/v1, apps/v1, batch/v1) and of the Compose specification, as far as the templates need them.
const OBJECTS: [(&str, &str); 33] = [
    (
        "Service",
        "apiVersion!:text kind!:text metadata!:Meta spec!:ServiceSpec",
    ),
    (
        "ServiceSpec",
        "clusterIP:text selector:{text} ports!:[ServicePort]",
    ),
    ("ServicePort", "port!:count name:text targetPort:count"),
    (
        "StatefulSet",
        "apiVersion!:text kind!:text metadata!:Meta spec!:StatefulSetSpec",
    ),
    (
        "StatefulSetSpec",
        "serviceName!:text replicas:count selector!:Selector template!:PodTemplate volumeClaimTemplates:[Claim]",
    ),
    (
        "Job",
        "apiVersion!:text kind!:text metadata!:Meta spec!:JobSpec",
    ),
    (
        "JobSpec",
        "completions:count parallelism:count backoffLimit:count template!:PodTemplate",
    ),
    ("Meta", "name:text labels:{text} annotations:{text}"),
    ("Selector", "matchLabels!:{text}"),
    ("PodTemplate", "metadata:Meta spec!:PodSpec"),
    (
        "PodSpec",
        "containers!:[Container] restartPolicy:text terminationGracePeriodSeconds:count volumes:[Volume]",
    ),
    (
        "Container",
        "name!:text image!:text args:[text] env:[Variable] ports:[ContainerPort] readinessProbe:Probe \
         resources:Resources volumeMounts:[Mount]",
    ),
    ("ContainerPort", "containerPort!:count"),
    ("Variable", "name!:text value:text valueFrom:Source"),
    ("Source", "secretKeyRef!:SecretKey"),
    ("SecretKey", "name!:text key!:text optional:flag"),
    ("Probe", "exec!:Exec periodSeconds:count"),
    ("Exec", "command!:[text]"),
    ("Resources", "requests:{quantity} limits:{quantity}"),
    ("Mount", "name!:text mountPath!:text readOnly:flag"),
    (
        "Volume",
        "name!:text persistentVolumeClaim:ClaimRef configMap:ConfigMapRef emptyDir:EmptyDir",
    ),
    ("ClaimRef", "claimName!:text readOnly:flag"),
    ("ConfigMapRef", "name!:text"),
    ("EmptyDir", "sizeLimit:quantity"),
    ("Claim", "metadata!:Meta spec!:ClaimSpec"),
    ("ClaimSpec", "accessModes!:[text] resources!:Resources"),
    (
        "Compose",
        "services!:{ComposeService} secrets:{ComposeSecret} volumes:{ComposeVolume}",
    ),
    (
        "ComposeService",
        "image!:text environment:{text} secrets:[text] volumes:[text] healthcheck:Healthcheck profiles:[text] \
         depends_on:{Dependency} command:[text] stop_grace_period:text restart:text deploy:Deploy",
    ),
    ("Healthcheck", "test!:[text] interval:text retries:count"),
    ("Dependency", "condition!:text"),
    ("Deploy", "replicas:count"),
    ("ComposeSecret", "file!:text"),
    ("ComposeVolume", ""),
];

/// The documents of a YAML file; `None` where no reader is installed.
fn documents(path: &Path) -> Option<Vec<Value>> {
    let script = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";
    for python in ["/usr/bin/python3", "python3"] {
        let output = Command::new(python).args(["-c", script]).arg(path).output();
        match output {
            Ok(output) if output.status.success() => {
                return Some(serde_json::from_slice(&output.stdout).unwrap());
            }
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(
                    said.contains("No module named 'yaml'"),
                    "{}: {said}",
                    path.display()
                );
            }
            Err(_) => {}
        }
    }
    eprintln!("skipped: Python has no PyYAML to read the templates (.ci/setup deploy)");
    None
}

fn is_quantity(value: &Value) -> bool {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return false,
    };
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let units = ["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti"];
    digits.parse::<f64>().is_ok_and(|it| it > 0.0) && units.contains(&&text[digits.len()..])
}

/// Holds a value against a type of the table.
fn check(place: &str, value: &Value, kind: &str) -> Result<(), String> {
    let wrong = || Err(format!("{place}: found {value}, expected {kind}"));
    if let Some(of) = kind.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        let Value::Array(items) = value else {
            return wrong();
        };
        let mut items = items.iter().enumerate();
        return items.try_for_each(|(index, item)| check(&format!("{place}[{index}]"), item, of));
    }
    if let Some(of) = kind.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        let Value::Object(fields) = value else {
            return wrong();
        };
        let mut fields = fields.iter();
        return fields.try_for_each(|(name, field)| check(&format!("{place}.{name}"), field, of));
    }
    let is_well = match kind {
        "text" => value.is_string(),
        "count" => value.as_u64().is_some(),
        "flag" => value.is_boolean(),
        "quantity" => is_quantity(value),
        _ => return check_object(place, value, kind),
    };
    if is_well { Ok(()) } else { wrong() }
}

fn check_object(place: &str, value: &Value, kind: &str) -> Result<(), String> {
    let known = OBJECTS.iter().find(|(name, _)| *name == kind);
    let (_, known) = known.ok_or_else(|| format!("{place}: nothing is known of a {kind}"))?;
    let Value::Object(fields) = value else {
        return Err(format!("{place}: found {value}, expected a {kind}"));
    };
    let known: Vec<(&str, bool, &str)> = known
        .split_whitespace()
        .map(|field| {
            let (name, of) = field.split_once(':').unwrap();
            (name.trim_end_matches('!'), name.ends_with('!'), of)
        })
        .collect();
    for (name, field) in fields {
        let Some((_, _, of)) = known.iter().find(|(known, _, _)| known == name) else {
            return Err(format!("{place}: a {kind} has no field `{name}`"));
        };
        check(&format!("{place}.{name}"), field, of)?;
    }
    match known
        .iter()
        .find(|(name, is_needed, _)| *is_needed && !fields.contains_key(*name))
    {
        Some((name, _, _)) => Err(format!(
            "{place}: found no `{name}`, expected one in a {kind}"
        )),
        None => Ok(()),
    }
}

/// A document of Kubernetes: fields, versions, and names that must fit one another.
fn check_manifest(place: &str, document: &Value) -> Result<(), String> {
    let kind = document["kind"].as_str().unwrap_or_default();
    check(&format!("{place}: {kind}"), document, kind)?;
    let expect = |is_so: bool, what: &str| match is_so {
        true => Ok(()),
        false => Err(format!("{place}: {kind}: {what}")),
    };
    let version = match kind {
        "Job" => "batch/v1",
        "StatefulSet" => "apps/v1",
        _ => "v1",
    };
    expect(
        document["apiVersion"] == version,
        &format!("expected {version}"),
    )?;
    expect(document["metadata"]["name"].is_string(), "expected a name")?;
    let spec = &document["spec"];
    let Value::Object(pod) = &spec["template"]["spec"] else {
        return Ok(());
    };
    let restart = pod.get("restartPolicy").and_then(Value::as_str);
    match kind {
        "Job" => expect(
            matches!(restart, Some("OnFailure" | "Never")),
            "a Job's restartPolicy is OnFailure or Never",
        )?,
        _ => {
            let labels = spec["selector"]["matchLabels"].as_object().unwrap();
            let own = &spec["template"]["metadata"]["labels"];
            let fits = labels.iter().all(|(name, label)| own[name] == *label);
            expect(fits, "the selector does not select its own pods")?;
        }
    }
    let names = |of: &Value| -> Vec<String> {
        let items = of.as_array().into_iter().flatten();
        let own = items.map(|it| [&it["name"], &it["metadata"]["name"]]);
        own.flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    let volumes = pod.get("volumes").map(names).unwrap_or_default();
    let volumes = [volumes, names(&spec["volumeClaimTemplates"])].concat();
    for container in pod["containers"].as_array().unwrap() {
        for mount in names(&container["volumeMounts"]) {
            expect(volumes.contains(&mount), &format!("no volume `{mount}`"))?;
        }
    }
    Ok(())
}

fn words(of: &Value) -> Vec<String> {
    let items = of.as_array().into_iter().flatten();
    items.map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_manifests_of_kubernetes_have_the_fields_it_knows_and_commands_that_the_program_takes() {
    let mut services: Vec<Value> = Vec::new();
    let mut n_commands = 0;
    for name in ["auricle.yaml", "create.yaml"] {
        let Some(documents) = documents(&folder().join("kubernetes").join(name)) else {
            return;
        };
        for document in &documents {
            check_manifest(name, document).unwrap();
            if document["kind"] == "Service" {
                services.push(document["metadata"]["name"].clone());
            }
            if document["kind"] == "StatefulSet" {
                assert!(services.contains(&document["spec"]["serviceName"]));
            }
            let containers = &document["spec"]["template"]["spec"]["containers"];
            for container in containers.as_array().into_iter().flatten() {
                let is_ours = container["image"].as_str().unwrap().contains("auricle");
                if is_ours {
                    let words = words(&container["args"]);
                    check_command(name, &words);
                    // The database is the one that the manifests start.
                    let host = services[0].as_str().unwrap();
                    assert!(
                        words.iter().any(|it| it.contains(&format!("@{host}/"))),
                        "{words:?}"
                    );
                    n_commands += 1;
                }
            }
        }
    }
    assert_eq!(n_commands, 2);
}

#[test]
fn a_manifest_with_a_slip_in_it_is_refused() {
    let Some(documents) = documents(&folder().join("kubernetes/auricle.yaml")) else {
        return;
    };
    let job = documents.iter().find(|it| it["kind"] == "Job").unwrap();
    check_manifest("job", job).unwrap();
    type Slip = (fn(&mut Value), &'static str);
    let slips: [Slip; 6] = [
        (
            |job| job["spec"]["paralelism"] = 8.into(),
            "no field `paralelism`",
        ),
        (
            |job| job["spec"]["completions"] = "8".into(),
            "expected count",
        ),
        (|job| job["apiVersion"] = "v1".into(), "expected batch/v1"),
        (
            |job| job["spec"]["template"]["spec"]["restartPolicy"] = "Always".into(),
            "OnFailure or Never",
        ),
        (
            |job| job["spec"]["template"]["spec"]["volumes"][0]["name"] = "data".into(),
            "no volume `corpus`",
        ),
        (
            |job| {
                let pod = &mut job["spec"]["template"]["spec"];
                pod["containers"][0]["resources"]["limits"]["memory"] = "8GB".into();
            },
            "expected quantity",
        ),
    ];
    for (slip, expected) in slips {
        let mut broken = job.clone();
        slip(&mut broken);
        let error = check_manifest("job", &broken).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_compose_file_has_the_fields_it_knows_names_that_are_there_and_commands_that_the_program_takes()
 {
    let path = folder().join("compose/compose.yaml");
    let Some(documents) = documents(&path) else {
        return;
    };
    let file = &documents[0];
    // A volume may be said with nothing to say of it.
    check("compose.yaml", file, "Compose").unwrap();
    let none = Map::new();
    let of = |field: &str| file[field].as_object().unwrap_or(&none);
    let mut n_commands = 0;
    for (name, service) in of("services") {
        for needed in service["depends_on"].as_object().unwrap_or(&none).keys() {
            assert!(of("services").contains_key(needed), "{name} needs {needed}");
            assert!(
                of("services")[needed]["healthcheck"].is_object(),
                "{needed}"
            );
        }
        for secret in words(&service["secrets"]) {
            assert!(
                of("secrets").contains_key(&secret),
                "{name}: secret {secret}"
            );
        }
        for volume in words(&service["volumes"]) {
            let (from, _) = volume.split_once(':').unwrap_or(("/", ""));
            let is_path = from.starts_with(['.', '/']);
            assert!(
                is_path || of("volumes").contains_key(from),
                "{name}: volume {volume}"
            );
        }
        if service["image"] == "auricle" {
            let words = words(&service["command"]);
            check_command("compose.yaml", &words);
            let address = words
                .iter()
                .find(|it| it.starts_with("@/run/secrets/"))
                .unwrap();
            let secret = address.trim_start_matches("@/run/secrets/");
            assert!(of("secrets").contains_key(secret), "{address}");
            n_commands += 1;
        }
    }
    assert_eq!(n_commands, 2);
}

#[test]
fn the_compose_file_is_one_that_docker_takes() {
    let has_compose = Command::new("docker").args(["compose", "version"]).output();
    if !has_compose.is_ok_and(|it| it.status.success()) {
        eprintln!("skipped: there is no `docker compose` to read the file");
        return;
    }
    let path = folder().join("compose/compose.yaml");
    let output = Command::new("docker")
        .args(["compose", "-f"])
        .arg(path)
        .args(["config", "--quiet"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
