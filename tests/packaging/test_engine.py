# SPDX-License-Identifier: MIT
"""The image in a container engine: podman in a booted machine, with a bridge and published ports; and the examples.

What these tests check of packaging/examples/*.yaml: kubectl knows every field of kubernetes.yaml (it reads the file into the
types of Kubernetes and writes it again; a server is needed to check more), podman runs its pods and the services of
compose.yaml, and the jobs of CI get their echo from the container that their files describe. The options of all are accepted
by the program with --check. The probes are requested from outside of the pod, as the kubelet does it.
"""

import json
import re
import shlex
import subprocess

import framing
import heads
import images
import launch
import machine
import project
import pytest
from debians import BUILDING, echoes, leave
from images import NOBODY, PUBLISHED
from launch import Peer
from require import require, require_module

EXAMPLES = project.TOP / "packaging/examples"
FOLDER = "/tmp/engine"
SETTINGS = {
    "storage.conf": f'[storage]\ndriver = "vfs"\ngraphroot = "{FOLDER}/graph"\nrunroot = "{FOLDER}/run"\n',
    # The machine may not let podman raise its limits, and its journal is in memory.
    "containers.conf": '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\nlog_driver = "k8s-file"\n'
                       '[engine]\ncgroup_manager = "systemd"\n',
}


class Engine(machine.Machine):
    """A booted machine whose podman has the image."""

    def __enter__(self):
        for command, package in {"podman": "podman", "crun": "crun", "/usr/lib/podman/netavark": "netavark",
                                 "/usr/lib/podman/aardvark-dns": "aardvark-dns", "iptables": "iptables",
                                 "catatonit": "catatonit"}.items():
            require(command, package)
        super().__enter__()
        try:
            self.path(FOLDER).mkdir()
            for name, text in SETTINGS.items():
                self.path(f"{FOLDER}/{name}").write_text(text)
            # podman makes its own network namespaces forward packets; /proc/sys is not writable.
            self.run("sh", "-ec", f"mkdir {FOLDER}/proc; mount -t proc proc {FOLDER}/proc; "
                                  f"mount --bind {FOLDER}/proc/sys/net /proc/sys/net")
            archive = self.path(f"{FOLDER}/image.tar")
            images.buildah("push", "--quiet", "ws-echo", f"docker-archive:{archive}:localhost/ws-echo:latest")
            self.podman("load", "--quiet", "--input", f"{FOLDER}/image.tar")
            self.podman("tag", "ws-echo", PUBLISHED)
        except BaseException:
            self.__exit__()
            raise
        return self

    def engine(self, *command):
        """The command line for a program that uses podman's storage."""
        return ["env", "TMPDIR=/tmp", f"CONTAINERS_STORAGE_CONF={FOLDER}/storage.conf", f"CONTAINERS_CONF={FOLDER}/containers.conf", *command]

    def podman(self, *arguments):
        return self.run(*self.engine("podman", *arguments), timeout=BUILDING).stdout.strip()

    def inspect(self, name):
        return json.loads(self.podman("inspect", name))[0]

    def status(self, process):
        """The fields of /proc/PROCESS/status."""
        text = self.path(f"/proc/{process}/status").read_text(encoding="utf-8")
        return dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))

    def serves(self, host="127.0.0.1"):
        def listens():
            try:
                self.connect(host).close()
            except ConnectionRefusedError:
                return False
            return True

        launch.wait_until(listens, f"{host} serves")


@pytest.fixture(scope="module", name="engine")
def booted(image):
    with Engine() as machine_with_podman:
        yield machine_with_podman


@pytest.fixture
def running(engine):
    """Starts containers from the command line of a document, and removes them after the test."""
    def start(line):
        engine.run(*engine.engine("sh", "-ec", line), timeout=BUILDING)
        engine.serves()

    yield start
    engine.podman("pod", "rm", "--all", "--force")
    engine.podman("rm", "--all", "--force", "--time", "0")


def detached(line):
    """The same command line, which does not wait for the container to end."""
    return line.replace(" run ", " run --detach ") if "--detach" not in line else line


def documented():
    """The command lines of the manual and of Containerfile that run the image, without their prompts."""
    manual = (project.TOP / "man/ws-echo-launchers.7").read_text(encoding="utf-8").split("\n.Sh CONTAINERS\n")[1]
    container = (project.TOP / "packaging/Containerfile").read_text(encoding="utf-8")
    text = manual.split("\n.Sh ")[0].replace("\\e\n", "") + container
    return sorted({" ".join(line.split()) for line in re.findall(r"^(?:\$|#  ) +(podman run .*)$", text, re.M)})


def pure_echo(engine, prefix=b"", path="/any", host="127.0.0.1"):
    peer = Peer(engine.connect(host)).open(path=path)
    echoes(peer, prefix=prefix)
    leave(peer)


@pytest.mark.parametrize("line", documented())
def test_a_documented_command_serves(engine, running, line):
    running(detached(line))
    if " --prefix= --path=any" in line:
        pure_echo(engine)
    else:
        pure_echo(engine, prefix=framing.PREFIX, path="/socket")


def test_both_documented_ways_are_among_the_commands():
    assert {"podman run --rm --publish 8888:8888 ws-echo",
            "podman run --rm --publish 8888:8888 ws-echo --prefix= --path=any"} <= set(documented())


def process_of(engine):
    """The only process of the program, after those of earlier connections have ended."""
    launch.wait_until(lambda: len(engine.processes("ws-echo")) == 1, "there is one process")
    return engine.processes("ws-echo")[0]


@pytest.mark.parametrize("options, filters, bounded", [
    ("", 2, False),
    ("--cap-drop=all --read-only", 2, True),
    ("--cap-drop=all --security-opt=no-new-privileges", 2, True),
    ("--security-opt=seccomp=unconfined", 1, False),
])
def test_the_programs_own_sandbox_is_whole_in_a_container_whatever_the_engine_adds(engine, running, options, filters, bounded):
    """ws-echo-launchers(7) CONTAINERS has a table of this."""
    running(f"podman run --name it --detach --publish 8888:8888 {options} ws-echo")
    peer = Peer(engine.connect()).open()
    status = engine.status(process_of(engine))
    leave(peer)
    assert {name: status[name] for name in ("Seccomp", "Seccomp_filters", "NoNewPrivs", "CapEff", "CapPrm")} == {
        "Seccomp": "2", "Seccomp_filters": str(filters), "NoNewPrivs": "1", "CapEff": "0" * 16, "CapPrm": "0" * 16}
    assert (status["CapBnd"] == "0" * 16) == bounded
    assert status["Uid"].split() == [str(NOBODY)] * 4 and status["Groups"].strip() in ("", str(NOBODY))

    def records():
        logged = engine.run(*engine.engine("podman", "logs", "it"))
        return [line for line in (logged.stdout + logged.stderr).splitlines() if " status=101 " in line]

    launch.wait_until(records, "the record is in the container's log")
    assert "sandbox" not in launch.record(records()[0])


def test_to_stop_the_container_closes_its_connections_with_1001_and_takes_no_signal_that_kills(engine, running):
    running("podman run --name it --detach --publish 8888:8888 ws-echo")
    peer = Peer(engine.connect()).open()
    with subprocess.Popen(engine.command(*engine.engine("podman", "stop", "it")), stdout=subprocess.DEVNULL) as stop:
        assert framing.close_code(peer.answer_close()) == 1001
        peer.close()
        assert stop.wait(project.LIMIT) == 0
    assert engine.inspect("it")["State"]["ExitCode"] == 0


def test_the_engine_finds_it_healthy(engine, running):
    running("podman run --name it --detach --publish 8888:8888 ws-echo")
    engine.podman("healthcheck", "run", "it")
    assert engine.inspect("it")["State"]["Health"]["Status"] == "healthy"


# The examples


def documents(name):
    require_module("yaml", "python3-yaml")
    import yaml

    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def deployment():
    return next(part for part in documents("kubernetes.yaml") if part["kind"] == "Deployment")


def pod():
    return deployment()["spec"]["template"]["spec"]


def github_line():
    """The command line of the workflow that starts the container."""
    steps = documents("github-workflow.yaml")[0]["jobs"]["test"]["steps"]
    (line,) = [step["run"] for step in steps if step["run"].startswith("docker run ")]
    return line


def options_of_examples():
    github = shlex.split(github_line())
    return {
        "kubernetes.yaml": pod()["containers"][0]["args"],
        "compose.yaml": documents("compose.yaml")[0]["services"]["ws-echo"]["command"],
        "gitlab-ci.yaml": documents("gitlab-ci.yaml")[0]["test"]["services"][0]["command"],
        "github-workflow.yaml": github[github.index(PUBLISHED) + 1:],
    }


def test_each_example_has_options_and_the_program_accepts_them():
    found = options_of_examples()
    assert found.keys() == {path.name for path in EXAMPLES.glob("*.yaml")}
    for name, options in found.items():
        assert options[:2] == ["--prefix=", "--path=any"], name
        result = launch.run(b"", "--check", *options)
        assert (result.returncode, launch.without_the_notice(result.stderr)) == (0, b""), name
        assert launch.run(b"", "--check", *options, "--wrong").returncode == 64


@pytest.mark.parametrize("kind, command", [
    ("Deployment", ["set", "env", "ADDED=1"]),
    ("Service", ["set", "selector", "added=1"]),
])
def test_kubernetes_knows_every_field_of_its_example(tmp_path, kind, command):
    """kubectl drops fields that it does not know when it changes a file."""
    (part,) = [part for part in documents("kubernetes.yaml") if part["kind"] == kind]
    file = tmp_path / "part.json"

    def written(change=None):
        file.write_text(json.dumps(part if change is None else change), encoding="utf-8")
        said = subprocess.run([require("kubectl", "kubernetes-client"), *command, "--local", f"--filename={file}",
                               "--output=json"], capture_output=True, text=True, check=True, timeout=project.LIMIT,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KUBECONFIG": "/dev/null"}).stdout
        return json.loads(said)

    assert missing(part, written()) == ([] if kind == "Deployment" else ["/spec/selector/app.kubernetes.io/name"])
    wrong = {**part, "spec": {**part["spec"], "wrong": 1}}
    assert "/spec/wrong" in missing(wrong, written(wrong)), "what it drops is found"


def missing(wanted, given, place=""):
    """The places of values that `given` does not have."""
    if isinstance(wanted, dict):
        return [lost for name, value in wanted.items()
                for lost in missing(value, given.get(name) if isinstance(given, dict) else None, f"{place}/{name}")]
    if isinstance(wanted, list):
        return [lost for number, value in enumerate(wanted) for lost in
                missing(value, given[number] if isinstance(given, list) and number < len(given) else None, f"{place}/{number}")]
    return [] if wanted == given else [place]


def test_the_service_finds_the_pods_of_the_deployment():
    (service,) = [part for part in documents("kubernetes.yaml") if part["kind"] == "Service"]
    template = deployment()["spec"]["template"]
    assert service["spec"]["selector"] == deployment()["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    (container,) = template["spec"]["containers"]
    (port,), (inner,) = service["spec"]["ports"], container["ports"]
    assert (port["targetPort"], port["appProtocol"], inner["containerPort"]) == (inner["name"], "kubernetes.io/ws", 8888)


def test_the_pod_has_no_privilege():
    (container,) = pod()["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    inside = pod()["securityContext"]
    assert inside["seccompProfile"] == {"type": "RuntimeDefault"} and inside["runAsNonRoot"] and inside["runAsUser"] == NOBODY


def test_its_command_is_the_images_entry_point_but_for_the_share_of_one_address(image):
    command, entry = pod()["containers"][0]["command"], image.config["Entrypoint"]
    differing = [(ours, theirs) for ours, theirs in zip(command, entry, strict=True) if ours != theirs]
    assert differing == [("512", "64")] and command[command.index("-C") + 1] == "512"


@pytest.fixture(name="kubernetes")
def played(engine, running):
    """Pods of the example, run by podman: one, because it publishes their port, and without probes, which it makes
    commands in the container."""
    manifest = deployment()
    manifest["spec"]["replicas"] = 1
    for name in "readinessProbe", "livenessProbe":
        del manifest["spec"]["template"]["spec"]["containers"][0][name]
    engine.path(f"{FOLDER}/pod.yaml").write_text(json.dumps(manifest), encoding="utf-8")
    running(f"podman kube play {FOLDER}/pod.yaml")
    return engine


def test_the_pod_serves_more_connections_of_a_proxy_than_64_without_a_privilege(kubernetes):
    peers = [Peer(kubernetes.connect()).open(path="/any") for _ in range(80)]
    echoes(peers[-1], prefix=b"")
    status = kubernetes.status(kubernetes.processes("ws-echo")[0])
    assert (status["CapBnd"], status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]) == ("0" * 16, "1", "2", "2")
    process = kubernetes.processes("tcpsvd")[0]
    mounted = kubernetes.path(f"/proc/{process}/mountinfo").read_text(encoding="utf-8")
    (options,) = re.findall(r"^\S+ \S+ \S+ \S+ / (\S+)", mounted, re.M)
    assert "ro" in options.split(","), "the root directory"
    for peer in peers:
        leave(peer)


@pytest.mark.parametrize("probe", ["readinessProbe", "livenessProbe"])
def test_the_pod_answers_the_probe_as_a_kubelet_wants_it(kubernetes, probe):
    get = pod()["containers"][0][probe]["httpGet"]
    peer = Peer(kubernetes.connect(port=get["port"]))
    peer.send(f"GET {get['path']} HTTP/1.1\r\nHost: pod:{get['port']}\r\nUser-Agent: kube-probe/1.30\r\nAccept: */*\r\n"
              "Connection: close\r\n\r\n".encode())
    assert 200 <= int(peer.rest().split()[1]) < 400
    peer.close()


def test_to_end_the_pod_closes_its_connections_with_1001(kubernetes):
    """`podman kube down` kills, other than Kubernetes."""
    peer = Peer(kubernetes.connect()).open(path="/any")
    (name,) = re.findall(r"^\S+-ws-echo$", kubernetes.podman("ps", "--format", "{{.Names}}"), re.M)
    stopping = kubernetes.engine("podman", "stop", "--time", "30", name)  # seconds, the default of Kubernetes
    with subprocess.Popen(kubernetes.command(*stopping), stdout=subprocess.DEVNULL) as stop:
        assert framing.close_code(peer.answer_close()) == 1001
        peer.close()
        assert stop.wait(project.LIMIT) == 0


def test_the_memory_of_the_pod_fits_512_connections_with_the_largest_message(kubernetes):
    container = pod()["containers"][0]
    assert container["resources"]["limits"]["memory"] == "1Gi" and "--max-message=1M" in container["args"]
    connections = int(container["command"][container["command"].index("-c") + 1])
    peer = Peer(kubernetes.connect()).open(path="/any")
    process = process_of(kubernetes)

    def private():
        text = kubernetes.path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
        return 1024 * sum(map(int, re.findall(r"^Private_\w+: +(\d+) kB", text, re.M)))

    peer.send(framing.frame(framing.BINARY, bytes(1 << 20))[:-1])
    launch.wait_until(lambda: private() > 1 << 20, "the message is in its memory")
    assert connections * private() < 0.8 * (1 << 30), "the rest is for the buffers of the sockets"
    peer.close()


def test_the_compose_file_serves(engine, running):
    composer = require("podman-compose", "podman-compose")
    folder = engine.path(f"{FOLDER}/compose")
    folder.mkdir()
    (folder / "compose.yaml").write_bytes((EXAMPLES / "compose.yaml").read_bytes())
    running(f"cd {FOLDER}/compose && {composer} up --detach")
    pure_echo(engine)
    (name,) = engine.podman("ps", "--format", "{{.Names}}").split()
    settings = engine.inspect(name)["HostConfig"]
    assert settings["ReadonlyRootfs"] and settings["SecurityOpt"] == ["no-new-privileges"]
    assert engine.status(engine.processes("tcpsvd")[0])["CapBnd"] == "0" * 16


def test_the_job_of_gitlab_gets_its_echo_from_its_service(engine, running):
    job = documents("gitlab-ci.yaml")[0]["test"]
    (service,) = job["services"]
    assert service["name"] == PUBLISHED
    running(shlex.join(["podman", "run", "--detach", "--publish", "8888:8888", service["name"], *service["command"]]))
    with open(engine.path("/etc/hosts"), "a", encoding="ascii") as hosts:
        hosts.write(f"127.0.0.1 {service['alias']}\n")
    assert engine.run("env", "PATH=/usr/bin:/bin", "sh", "-ec", "\n".join(job["script"])).stdout == "Hello world\n"
    pure_echo(engine, path="/lab?delay=0.01")


def test_the_job_of_github_gets_its_echo_from_its_container(engine, running):
    running(re.sub("^docker ", "podman ", github_line()))
    last = documents("github-workflow.yaml")[0]["jobs"]["test"]["steps"][-1]
    assert engine.run("sh", "-ec", last["run"]).stdout == "Hello world\n"
    pure_echo(engine, path="/lab?delay=0.01")
