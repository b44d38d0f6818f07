"""The image, the compose file and the Kubernetes manifest: no container engine runs here, so what they say is checked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from app.commands.cluster_command import write_configs
from app.settings import Settings, load_settings
from tests.deploy.samples import DEPLOY, HANDOVER_S, ROLES, compose, manifest, named, parsed, unknown_settings
from tests.house.sources import ROOT

KUBERNETES = "1.34"
WORKLOADS = ("nats", "worker", "front")
TOKEN = "s3cret"

Json = dict[str, Any]


def loaded(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    assert unknown_settings(environment) == []
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def hosts_of(settings: Settings) -> list[str]:
    return re.findall(r"@([\w.-]+):4222", settings.nats_url)


class TestImage:
    dockerfile = (DEPLOY / "Dockerfile").read_text()

    def copied(self) -> list[str]:
        lines = re.findall(r"^COPY (?!--from)(.+)$", self.dockerfile, re.MULTILINE)
        return [source for line in lines for source in line.split()[:-1]]

    def test_what_it_copies_exists_and_is_not_left_out_of_the_build(self) -> None:
        let_in = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
        assert sorted(self.copied()) == sorted(let_in)
        assert [path for path in self.copied() if not (ROOT / path).exists()] == []

    def test_its_variables_are_settings_and_its_command_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        environment = dict(re.findall(r"(FORESHOCK_\w+)=(\S+)", self.dockerfile))
        settings = loaded(environment, monkeypatch)
        assert str(settings.data) in re.findall(r"^VOLUME (\S+)$", self.dockerfile, re.MULTILINE)
        assert 'ENTRYPOINT ["foreshock"]\nCMD ["serve"]' in self.dockerfile
        assert parsed(["serve"])
        ports = {settings.server.otlp_grpc_port, settings.server.otlp_http_port, settings.server.api_port}
        assert set(map(int, re.findall(r"^EXPOSE (.+)$", self.dockerfile, re.MULTILINE)[0].split())) == ports

    def test_it_does_not_run_as_root(self) -> None:
        assert re.findall(r"^USER (\S+)$", self.dockerfile, re.MULTILINE) == ["10001:10001"]

    @pytest.mark.slow
    def test_what_it_copies_is_enough_to_build_the_package(self, tmp_path: Path) -> None:
        for name in self.copied():
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tmp_path / "src" / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            else:
                (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, tmp_path / "src" / name)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
        subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(tmp_path / "src")], check=True)
        (wheel,) = tmp_path.glob("foreshock-*.whl")
        inside = zipfile.ZipFile(wheel).namelist()
        assert "app/cli.py" in inside
        for data in ("*.toml", "*.json"):
            assert {str(path.relative_to(ROOT)) for path in ROOT.glob(f"features/**/{data}")} <= set(inside)


class TestCompose:
    nodes = ("fs-1", "fs-2", "fs-3")
    servers = ("nats-1", "nats-2", "nats-3")

    def test_it_follows_the_specification(self) -> None:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
        answer = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr

    def test_every_node_starts_with_settings_and_options_that_exist(self, monkeypatch: pytest.MonkeyPatch) -> None:
        services = compose()["services"]
        found: set[str] = set()
        for name in self.nodes:
            environment = {key: re.sub(r"\$\{[^}]+\}", TOKEN, value) for key, value in services[name]["environment"].items()}
            settings = loaded(environment, monkeypatch)
            assert hosts_of(settings) == list(self.servers)
            assert settings.cluster.monitor_urls == tuple(f"http://{server}:8222" for server in self.servers)
            assert str(settings.signing_key) == f"/run/secrets/{services[name]['secrets'][0]}"
            assert set(parsed(services[name]["command"])["roles"].split(",")) == ROLES
            assert int(services[name]["stop_grace_period"].removesuffix("s")) >= HANDOVER_S + 30
            found.add(settings.cluster.node)
        assert found == set(self.nodes)

    def test_its_servers_get_the_files_that_the_command_writes(self, tmp_path: Path) -> None:
        report, _ = write_configs(self.servers, tmp_path, "/data", TOKEN)
        files = {Path(path).name for path in report["files"].values()}
        content = compose()
        mounted = {content["configs"][content["services"][name]["configs"][0]["source"]]["file"] for name in self.servers}
        assert mounted == {f"nats/{name}" for name in files}
        assert all(any(volume.endswith(":/data") for volume in content["services"][name]["volumes"]) for name in self.servers)

    def test_the_proxy_gets_the_sample_and_knows_the_nodes(self) -> None:
        content = compose()
        assert content["configs"]["nginx"]["file"] == "nginx.conf"
        assert set(re.findall(r"server (fs-\d):", (DEPLOY / "nginx.conf").read_text())) == set(self.nodes)

    def test_services_are_confined(self) -> None:
        """All but the one that gives new volumes to the user, and ends."""
        image = (DEPLOY / "Dockerfile").read_text()
        for name, service in compose()["services"].items():
            if name == "owner":
                assert service["entrypoint"][0] == "chown"
                assert "restart" not in service
                continue
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service), name
            if name in self.nodes:
                assert (service["tmpfs"], service.get("user"), service.get("cap_add")) == (["/tmp"], None, None)
                assert "USER 10001:10001" in image
            elif name in self.servers:
                assert (service["user"], service.get("cap_add")) == ("10001:10001", None)
            else:  # nginx gives up root itself, for which it needs these
                assert set(service["cap_add"]) == {"SETGID", "SETUID", "CHOWN"}

    def test_all_that_is_named_is_declared(self) -> None:
        content = compose()
        for service in content["services"].values():
            assert {one["source"] for one in service.get("configs", ())} <= set(content["configs"])
            assert set(service.get("secrets", ())) <= set(content["secrets"])
            assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= set(content["volumes"])
            assert set(service.get("depends_on", ())) <= set(content["services"])


class TestKubernetes:
    text = (DEPLOY / "kubernetes" / "foreshock.yaml").read_text()

    def workload(self, name: str) -> Json:
        return named("Deployment" if name == "front" else "StatefulSet", name)

    def pod(self, name: str) -> Json:
        return self.workload(name)["spec"]["template"]["spec"]

    def test_every_object_follows_its_schema(self) -> None:
        for item in manifest():
            kubernetes_validate.validate(item, KUBERNETES, strict=True)

    @pytest.mark.parametrize("name", ["worker", "front"])
    def test_nodes_start_with_settings_and_options_that_exist(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        (container,) = self.pod(name)["containers"]
        environment = {one["name"]: "pod-0" for one in container["env"]}
        environment |= named("ConfigMap", "foreshock")["data"] | named("Secret", "foreshock")["stringData"]
        settings = loaded(environment, monkeypatch)
        servers = [f"nats-{n}.nats" for n in range(3)]
        assert hosts_of(settings) == servers
        assert settings.cluster.monitor_urls == tuple(f"http://{server}:8222" for server in servers)
        assert settings.cluster.node == "pod-0"
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert str(settings.signing_key) == f"{mounts['signing']}/signing.key"
        assert mounts["data"] in (DEPLOY / "Dockerfile").read_text()
        assert set(parsed(container["args"])["roles"].split(",")) < ROLES

    def test_roles_of_all_pods_together_are_all_roles(self) -> None:
        found = [parsed(self.pod(name)["containers"][0]["args"])["roles"].split(",") for name in ("worker", "front")]
        assert {role for roles in found for role in roles} == ROLES

    def test_its_servers_get_the_files_that_the_command_writes(self, tmp_path: Path) -> None:
        hosts = re.findall(r"cluster-config (.+) --out", self.text)[0].split()
        report, _ = write_configs(hosts, tmp_path, "/data", TOKEN)
        (container,) = self.pod("nats")["containers"]
        pattern = container["args"][container["args"].index("-c") + 1]
        files = {pattern.replace("$(POD_NAME)", f"nats-{n}") for n in range(self.workload("nats")["spec"]["replicas"])}
        assert files == {f"/etc/nats/{Path(path).name}" for path in report["files"].values()}
        assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]

    @pytest.mark.parametrize("name", WORKLOADS)
    def test_what_a_pod_names_is_there(self, name: str) -> None:
        pod = self.pod(name)
        made = set(re.findall(r"create secret generic ([\w-]+)", self.text))
        made |= {item["metadata"]["name"] for item in manifest() if item["kind"] in ("Secret", "ConfigMap")}
        wanted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        for container in pod["containers"]:
            wanted |= {next(iter(one.values()))["name"] for one in container.get("envFrom", ())}
            ports = {port["name"] for port in container["ports"]}
            probes = {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
            assert probes <= ports
            volumes = {volume["name"] for volume in pod["volumes"]}
            volumes |= {claim["metadata"]["name"] for claim in self.workload(name)["spec"].get("volumeClaimTemplates", ())}
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert wanted <= made

    @pytest.mark.parametrize("name", WORKLOADS)
    def test_services_and_budgets_choose_the_pods(self, name: str) -> None:
        workload = self.workload(name)
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"] == labels
        budget = named("PodDisruptionBudget", name)["spec"]
        assert budget["selector"]["matchLabels"] == labels
        assert budget["maxUnavailable"] == 1
        services = [item["spec"] for item in manifest() if item["kind"] == "Service" and item["spec"]["selector"] == labels]
        ports = {port["name"]: port["containerPort"] for port in self.pod(name)["containers"][0]["ports"]}
        for service in services:
            assert all(ports[port["name"]] == port["port"] for port in service["ports"])
        if workload["kind"] == "StatefulSet":
            assert named("Service", workload["spec"]["serviceName"])["spec"]["clusterIP"] == "None"

    @pytest.mark.parametrize("name", WORKLOADS)
    def test_pods_are_confined(self, name: str) -> None:
        pod = self.pod(name)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(pod.get(shared) for shared in ("hostNetwork", "hostPID", "hostIPC"))
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }

    def test_a_worker_has_the_time_to_hand_over(self) -> None:
        assert self.pod("worker")["terminationGracePeriodSeconds"] >= HANDOVER_S + 30
