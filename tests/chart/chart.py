"""Tests of the chart with the real Helm and a real API server."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/bobsync"
MONITORING = "monitoring.coreos.com/v1"
plane = None


def setUpModule():
    global plane
    plane = Plane()


def tearDownModule():
    plane.stop()


class Plane:
    """A control plane of this run, and the real helm and kubectl."""

    def __init__(self):
        self.process = subprocess.Popen(
            [os.environ["TESTBED"], "up"], stdout=subprocess.PIPE, text=True
        )
        self.line = json.loads(self.process.stdout.readline())
        self.environment = {**os.environ, **self.line["environment"]}
        self.environment["KUBECONFIG"] = self.line["kubeconfig"]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def run(self, program, *arguments, text=None):
        return subprocess.run(
            [self.line[program], *arguments],
            input=text,
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
        )

    def helm(self, *arguments):
        return self.run("helm", *arguments)

    def kubectl(self, *arguments, text=None):
        return self.run("kubectl", *arguments, text=text)


class Chart(unittest.TestCase):
    """What the tests have in common."""

    maxDiff = None

    def rendering(self, values=None, release="bobsync", chart=CHART, api=()):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump({"crds": {"install": False}} | (values or {}), file)
            file.flush()
            versions = [f"--api-versions={name}" for name in api]
            command = ["template", release, str(chart), "--namespace", "system"]
            return plane.helm(*command, "-f", file.name, *versions)

    def render(self, values=None, **others):
        result = self.rendering(values, **others)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [document for document in yaml.safe_load_all(result.stdout) if document]

    def refused(self, values, *words, **others):
        result = self.rendering(values, **others)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        for word in words:
            self.assertIn(word, result.stderr)

    def one(self, documents, kind, name=None):
        found = [
            document
            for document in documents
            if document["kind"] == kind and name in (None, document["metadata"]["name"])
        ]
        self.assertEqual(len(found), 1, f"{kind} {name}")
        return found[0]

    def pod(self, values=None, **others):
        return self.one(self.render(values, **others), "Deployment")["spec"]["template"]["spec"]

    def container(self, values=None, **others):
        return self.pod(values, **others)["containers"][0]

    def env(self, values):
        return {entry["name"]: entry.get("value") for entry in self.container(values)["env"]}

    def succeeded(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def copy_with(self, **fields):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        copied = pathlib.Path(folder) / "bobsync"
        shutil.copytree(CHART, copied)
        about = yaml.safe_load((copied / "Chart.yaml").read_text())
        (copied / "Chart.yaml").write_text(yaml.safe_dump(about | fields))
        return copied


EVERYTHING = {
    "namespaces": ["people"],
    "commonLabels": {"team": "identity"},
    "image": {"registry": "registry.example.com:5000", "digest": "sha256:" + "a" * 64},
    "replicas": 2,
    "logLevel": "debug",
    "proxy": {"https": "http://proxy.example.com:3128", "noProxy": ".internal"},
    "trustedCA": {"configMap": "bundle"},
    "federation": {"token": True},
    "extraArgs": ["--allow-endpoint=https://idp.example.com"],
    "extraEnv": [{"name": "A", "value": "b"}],
    "extraEnvFrom": [{"configMapRef": {"name": "more", "optional": True}}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "rbac": {"aggregateToView": True, "aggregateToEdit": True, "approver": {"create": True}},
    "podDisruptionBudget": {"enabled": True},
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
        }
    ],
    "dnsPolicy": "ClusterFirst",
    "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["idp.example.com"]}],
    "approvals": {"enabled": True},
    "webhooks": {"ingress": {"enabled": True, "host": "hooks.example.com", "tlsSecret": "tls"}},
    "networkPolicy": {"enabled": True, "egress": {"enabled": True}},
}


class Rendered(Chart):
    """What Helm makes of single values."""

    def test_helm_lint_finds_nothing(self):
        said = self.succeeded(plane.helm("lint", "--strict", str(CHART)))
        self.assertNotIn("[WARNING]", said)
        self.assertNotIn("[ERROR]", said)

    def test_every_value_has_a_place_and_a_description_in_the_schema(self):
        schema = json.loads((CHART / "values.schema.json").read_text())

        def walk(values, part, path):
            for name, value in values.items():
                self.assertIn(name, part["properties"], f"{path}{name}")
                if isinstance(value, dict) and "properties" in part["properties"][name]:
                    walk(value, part["properties"][name], f"{path}{name}.")

        walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")
        for name, part in schema["properties"].items():
            self.assertTrue(part.get("description"), name)

    def test_the_page_about_the_chart_names_every_value(self):
        page = (CHART / "README.md").read_text()
        for name, value in yaml.safe_load((CHART / "values.yaml").read_text()).items():
            self.assertRegex(page, rf"`{name}[`.]", name)
            grouped = isinstance(value, dict) and f"`{name}`" not in page
            for inner in value if grouped else ():
                self.assertIn(f"`{name}.{inner}", page)

    def test_the_listeners_take_both_families_of_addresses(self):
        arguments = self.container()["args"]
        self.assertIn("--http-listen=[::]:8080", arguments)
        self.assertIn("--webhook-listen=[::]:8081", arguments)
        arguments = self.container({"listenAddress": "0.0.0.0"})["args"]
        self.assertIn("--http-listen=0.0.0.0:8080", arguments)
        self.refused({"listenAddress": "::"}, "listenAddress")

    def test_the_security_contexts_can_be_emptied(self):
        default = self.pod()
        self.assertEqual(default["securityContext"]["runAsUser"], 65532)
        no_user = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None}}
        context = self.pod(no_user)["securityContext"]
        self.assertEqual(
            context, {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        )
        pod = self.pod({"podSecurityContext": None, "securityContext": None})
        self.assertNotIn("securityContext", pod)
        self.assertNotIn("securityContext", pod["containers"][0])

    def test_a_proxy_a_ca_and_a_log_level_have_names(self):
        values = {
            "proxy": {"https": "http://proxy.example.com:3128", "noProxy": ".internal"},
            "trustedCA": {"configMap": "bundle", "key": "all.pem"},
            "logLevel": "debug",
        }
        env = self.env(values)
        self.assertEqual(env["HTTPS_PROXY"], "http://proxy.example.com:3128")
        self.assertEqual(env["NO_PROXY"], ".internal")
        self.assertEqual(env["BOBSYNC_LOG"], "debug")
        pod = self.pod(values)
        mount = pod["containers"][0]["volumeMounts"][0]
        self.assertEqual(env["SSL_CERT_FILE"], mount["mountPath"] + "/bundle.pem")
        source = pod["volumes"][0]["configMap"]
        self.assertEqual(source["items"], [{"key": "all.pem", "path": "bundle.pem"}])
        secret = self.pod({"trustedCA": {"secret": "bundle"}})["volumes"][0]["secret"]
        self.assertEqual(secret["secretName"], "bundle")
        self.refused({"trustedCA": {"configMap": "a", "secret": "b"}}, "not both")
        self.assertEqual(set(self.env({})), {"BOBSYNC_POD_UID"})
        self.assertNotIn("volumes", self.pod())

    def test_there_is_an_open_place_next_to_each_strict_one(self):
        pod = self.pod(EVERYTHING)
        container = pod["containers"][0]
        self.assertEqual(container["args"][-1], EVERYTHING["extraArgs"][0])
        self.assertIn(EVERYTHING["extraEnv"][0], container["env"])
        self.assertEqual(container["envFrom"], EVERYTHING["extraEnvFrom"])
        names = ["federated", "trusted-ca", "more"]
        self.assertEqual([volume["name"] for volume in pod["volumes"]], names)
        self.assertEqual([mount["name"] for mount in container["volumeMounts"]], names)
        self.assertEqual(pod["hostAliases"], EVERYTHING["hostAliases"])
        self.assertEqual(pod["dnsConfig"], EVERYTHING["dnsConfig"])
        spread = pod["topologySpreadConstraints"][0]
        self.assertIn("app.kubernetes.io/instance", spread["labelSelector"]["matchLabels"])

    def test_the_image_has_a_registry_a_tag_or_a_digest(self):
        def image(values):
            return self.container({"image": values})["image"]

        digest = "sha256:" + "a" * 64
        self.assertEqual(image({}), "bobsync:0.1.0")
        self.assertEqual(image({"registry": "r:5000", "tag": "1"}), "r:5000/bobsync:1")
        self.assertEqual(image({"tag": "1", "digest": digest}), f"bobsync@{digest}")
        self.refused({"image": {"digest": "latest"}}, "digest")

    def test_a_version_with_a_plus_is_a_valid_label_and_tag(self):
        chart = self.copy_with(version="0.1.0+3f2a", appVersion="0.1.0+3f2a")
        documents = self.render(chart=chart)
        for document in documents:
            for value in document["metadata"]["labels"].values():
                self.assertRegex(value, r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
        self.assertEqual(self.container(chart=chart)["image"], "bobsync:0.1.0_3f2a")

    def test_names_hold_in_an_umbrella_and_with_a_dot(self):
        def names(release, values=None):
            documents = self.render(values, release=release)
            return {document["metadata"]["name"] for document in documents}

        self.assertIn("acme-bobsync", names("acme"))
        self.assertIn("bobsync-eu-webhooks", names("bobsync.eu"))
        self.assertIn("sync", names("acme", {"fullnameOverride": "sync"}))
        long = names("a" * 53)
        self.assertTrue(all("." not in name for name in names("bobsync.eu")))
        self.assertTrue(all(len(name) <= 63 for name in long), long)

    def test_labels_reach_every_object_and_never_the_fixed_ones(self):
        everything = EVERYTHING | {"createNamespaces": True}
        for document in self.render(everything):
            self.assertEqual(document["metadata"]["labels"]["team"], "identity", document)
        fixed = "app.kubernetes.io/name"
        self.refused({"commonLabels": {fixed: "x"}}, f"commonLabels: the chart sets {fixed}")
        self.refused({"podLabels": {fixed: "x"}}, "podLabels", fixed)
        twice = {"commonLabels": {"team": "a"}, "podLabels": {"team": "b"}}
        self.refused(twice, "podLabels", "team")
        deployment = self.one(self.render({"podLabels": {"a": "b"}}), "Deployment")
        self.assertEqual(deployment["spec"]["template"]["metadata"]["labels"]["a"], "b")
        self.assertNotIn("a", deployment["spec"]["selector"]["matchLabels"])

    def test_a_service_account_of_ones_own(self):
        documents = self.render({"serviceAccount": {"create": False, "name": "own"}})
        self.assertNotIn("ServiceAccount", [document["kind"] for document in documents])
        for binding in documents:
            for subject in binding.get("subjects", []):
                self.assertEqual(subject["name"], "own")

    def test_monitors_have_labels_and_an_interval_and_need_the_operator(self):
        monitor = {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "interval": "30s",
            "namespace": "monitoring",
        }
        values = {"metrics": {"podMonitor": monitor, "serviceMonitor": monitor}}
        self.assertFalse([d for d in self.render(values) if d["kind"].endswith("Monitor")])
        documents = self.render(values, api=[MONITORING])
        pods = self.one(documents, "PodMonitor")
        services = self.one(documents, "ServiceMonitor")
        endpoints = (pods["spec"]["podMetricsEndpoints"], services["spec"]["endpoints"])
        for document, endpoint in zip((pods, services), endpoints):
            self.assertEqual(document["metadata"]["labels"]["release"], "prometheus")
            self.assertEqual(document["metadata"]["namespace"], "monitoring")
            self.assertEqual(document["spec"]["namespaceSelector"], {"matchNames": ["system"]})
            self.assertEqual(endpoint[0]["interval"], "30s")
        # The webhooks' Service has a port of another name, and no metrics.
        wanted = services["spec"]["selector"]["matchLabels"].items()
        chosen = [
            document["metadata"]["name"]
            for document in documents
            if document["kind"] == "Service" and wanted <= document["metadata"]["labels"].items()
        ]
        self.assertEqual(chosen, ["bobsync-metrics"])

    def test_the_network_policy_lets_out_dns_and_the_ports(self):
        policy = self.one(self.render({"networkPolicy": {"enabled": True}}), "NetworkPolicy")
        self.assertEqual(policy["spec"]["policyTypes"], ["Ingress"])
        values = {"egress": {"enabled": True, "ports": [443, 3128]}, "enabled": True}
        policy = self.one(self.render({"networkPolicy": values}), "NetworkPolicy")
        self.assertEqual(policy["spec"]["policyTypes"], ["Ingress", "Egress"])
        ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
        self.assertEqual(ports, [53, 53, 443, 3128])

    def test_an_ingress_and_a_route_lead_to_the_webhooks(self):
        ingress = {"enabled": True, "host": "hooks.example.com"}
        route = {"enabled": True, "parentRefs": [{"name": "public"}]}
        documents = self.render({"webhooks": {"ingress": ingress, "httpRoute": route}})
        service = self.one(documents, "Service", "bobsync-webhooks")["metadata"]["name"]
        path = self.one(documents, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]
        self.assertEqual(path["backend"]["service"]["name"], service)
        rule = self.one(documents, "HTTPRoute")["spec"]["rules"][0]
        self.assertEqual(rule["backendRefs"][0]["name"], service)
        self.refused({"webhooks": {"ingress": {"enabled": True}}}, "webhooks.ingress.host")
        self.refused({"webhooks": {"httpRoute": {"enabled": True}}}, "parentRefs")
        self.refused({"webhooks": {"service": False, "ingress": ingress}}, "webhooks.service")
        self.refused({"webhooks": {"service": False, "httpRoute": route}}, "webhooks.service")


class Crds(Chart):
    """What GitOps tools need of the CRDs."""

    def test_no_field_in_a_list_has_a_default(self):
        # A default in an item of a list is a difference from Git for ever in the eyes of Argo CD.
        def defaults(schema, path, listed):
            if listed and "default" in schema:
                yield path
            for name, part in schema.get("properties", {}).items():
                yield from defaults(part, f"{path}.{name}", listed)
            if "items" in schema:
                yield from defaults(schema["items"], f"{path}[]", True)

        looked_at = 0
        for crd in yaml.safe_load_all((ROOT / "crds/bobsync.dev.yaml").read_text()):
            for version in crd["spec"]["versions"]:
                schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
                self.assertEqual(list(defaults(schema, "spec", False)), [])
                looked_at += 1
        self.assertEqual(looked_at, 2)


class Installed(Chart):
    """What a real API server says. The order of the names is the order of the steps."""

    def test_1_a_namespace_that_is_missing_is_refused_before_anything_is_made(self):
        install = ["install", "bobsync", str(CHART), "-n", "system", "--create-namespace"]
        refused = plane.helm(*install, "--set", "namespaces={people}")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("the namespace people does not exist", refused.stderr)
        self.assertIn("createNamespaces=true", refused.stderr)
        # The name is not in use afterwards, and the notes name the next commands.
        said = self.succeeded(
            plane.helm(*install, "--set", "namespaces={people}", "--set", "createNamespaces=true")
        )
        self.assertIn("kubectl get pi,esync --namespace people -o wide", said)
        upgrade = ["upgrade", "bobsync", str(CHART), "-n", "system", "--reuse-values"]
        self.succeeded(plane.helm(*upgrade))

    def test_2_every_value_together_is_accepted(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(EVERYTHING, file)
            file.flush()
            upgrade = ["upgrade", "bobsync", str(CHART), "-n", "system", "-f", file.name]
            self.succeeded(plane.helm(*upgrade))
        # A field that the API server does not know is a mistake of the chart.
        manifest = self.succeeded(plane.helm("get", "manifest", "bobsync", "-n", "system"))
        strict = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"]
        self.succeeded(plane.kubectl(*strict, text=manifest))

    def chosen(self, role):
        """The ClusterRoles of the release that the cluster adds to its own role.

        The control plane of the tests does not run the controller that adds them, so the selector
        of the cluster's own role is asked.
        """
        own = json.loads(self.succeeded(plane.kubectl("get", "clusterrole", role, "-o", "json")))
        found = []
        for selector in own["aggregationRule"]["clusterRoleSelectors"]:
            labels = ",".join(f"{name}={value}" for name, value in selector["matchLabels"].items())
            labels += ",app.kubernetes.io/instance=bobsync"
            listing = plane.kubectl("get", "clusterrole", "-l", labels, "-o", "name")
            found += self.succeeded(listing).split()
        return [name.split("/")[1] for name in found]

    def bind(self, user, roles):
        for role in roles:
            binding = ["create", "rolebinding", f"{user}-{role}", "-n", "people", f"--user={user}"]
            self.succeeded(plane.kubectl(*binding, f"--clusterrole={role}"))

    def can(self, user, verb, resource):
        question = ["auth", "can-i", verb, resource, "-n", "people", f"--as={user}"]
        return plane.kubectl(*question).stdout.strip() == "yes"

    def test_3_people_have_the_rights_of_their_roles(self):
        for user in ("view", "edit", "admin"):
            self.bind(user, self.chosen(user))
        self.bind("approver", ["system-bobsync-approver"])
        expected = {
            ("view", "get", "pi"): True,
            ("view", "list", "esync"): True,
            ("view", "patch", "pi"): False,
            ("view", "delete", "esync"): False,
            ("edit", "get", "esync"): True,
            ("edit", "patch", "pi"): True,
            ("edit", "approve", "pi"): False,
            ("admin", "delete", "esync"): True,
            ("admin", "watch", "pi"): True,
            ("approver", "approve", "pi"): True,
            ("approver", "patch", "esync"): False,
        }
        # The API server knows a new role after a moment.
        deadline = time.monotonic() + 20
        while True:
            found = {question: self.can(*question) for question in expected}
            if found == expected or time.monotonic() > deadline:
                break
        self.assertEqual(found, expected)

    def test_4_two_releases_share_the_crds(self):
        other = ["second", str(CHART), "-n", "second", "--create-namespace"]
        values = ["--set", "namespaces={second}"]
        said = self.succeeded(plane.helm("install", *other, *values))
        self.assertIn("they belong to the release system/bobsync", said)
        self.succeeded(plane.helm("upgrade", *other, *values))
        self.succeeded(plane.helm("uninstall", "second", "-n", "second"))
        crds = ["get", "crd", "provisioningintegrations.bobsync.dev", "employeesyncs.bobsync.dev"]
        self.succeeded(plane.kubectl(*crds))

    def test_5_the_release_that_has_the_crds_brings_them_up_to_date(self):
        name = "provisioningintegrations.bobsync.dev"
        patch = '{"spec": {"names": {"shortNames": ["old"]}}}'
        self.succeeded(plane.kubectl("patch", "crd", name, "--type=merge", "-p", patch))
        upgrade = ["upgrade", "bobsync", str(CHART), "-n", "system", "--reuse-values"]
        self.succeeded(plane.helm(*upgrade, "--force-conflicts"))
        short = ["get", "crd", name, "-o", "jsonpath={.spec.names.shortNames}"]
        self.assertEqual(self.succeeded(plane.kubectl(*short)), '["pi"]')

    def test_6_another_name_after_an_uninstall(self):
        self.succeeded(plane.helm("uninstall", "bobsync", "-n", "system"))
        self.succeeded(plane.kubectl("get", "namespace", "people"))
        again = ["upgrade", "--install", "again", str(CHART), "-n", "system"]
        values = ["--set", "namespaces={people}"]
        said = self.succeeded(plane.helm(*again, *values))
        self.assertIn("they belong to the release system/bobsync", said)
        take = ["--set", "crds.takeOver=true", "--take-ownership"]
        self.succeeded(plane.helm(*again, *values, *take))
        self.assertNotIn("they belong", self.succeeded(plane.helm(*again, *values)))
        self.succeeded(plane.helm("uninstall", "again", "-n", "system"))
        self.succeeded(plane.kubectl("get", "crd", "provisioningintegrations.bobsync.dev"))


if __name__ == "__main__":
    unittest.main()
