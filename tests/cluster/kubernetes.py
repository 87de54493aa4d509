#!/usr/bin/env python3
"""Checks the manifests in deploy/kubernetes against the schemas of the Kubernetes API, and what they say against each other.

    tests/cluster/kubernetes.py [VERSION…]

Needs kubernetes-validate and PyYAML from PyPI; says so and ends with 0 where they are not there.
"""
import shlex, sys
from pathlib import Path

try:
    import kubernetes_validate, yaml
    from kubernetes_validate.utils import all_versions
except ImportError as error:
    print(f"left out: {error.name} is not installed (pip install kubernetes-validate)")
    sys.exit(0)

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"


def main():
    known = [v for v in all_versions() if tuple(map(int, v.split(".")[:2])) >= (1, 29)]
    versions = sys.argv[1:] or sorted(set(known), key=lambda v: tuple(map(int, v.split("."))))
    jobs = {}
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        for document in yaml.safe_load_all((FOLDER / name).read_text()):
            for version in versions:
                kubernetes_validate.validate(document, version, strict=True)
            jobs[document["kind"], document["metadata"]["name"]] = document
    claims = {name for kind, name in jobs if kind == "PersistentVolumeClaim"}
    for (kind, name), job in jobs.items():
        if kind != "Job":
            continue
        pod = job["spec"]["template"]["spec"]
        used = {volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
        assert used <= claims, f"{name}: {used - claims} is in no manifest"
        named = {image["name"] for image in kustomization["images"]}
        for container in pod.get("initContainers", []) + pod["containers"]:
            assert container["image"] in named, f"{name}: {container['image']} is not in kustomization.yaml"
            mounts = {mount["name"] for mount in container["volumeMounts"]}
            assert mounts <= {volume["name"] for volume in pod["volumes"]}
    shards = jobs["Job", "ultramotion"]["spec"]
    container = shards["template"]["spec"]["containers"][0]
    count = {entry["name"]: entry["value"] for entry in container["env"]}["SHARDS"]
    assert int(count) == shards["completions"], "SHARDS is not the number of completions"
    assert shards["completionMode"] == "Indexed"
    folder = "/output/run"
    for job in ("ultramotion", "ultramotion-merge"):
        pod = jobs["Job", job]["spec"]["template"]["spec"]
        for container in pod.get("initContainers", []) + pod["containers"]:
            assert folder in shlex.join(container["command"]), f"{job}: works in another folder than {folder}"
    print(f"{len(jobs)} manifests, valid for Kubernetes {', '.join(versions)}")


if __name__ == "__main__":
    main()
