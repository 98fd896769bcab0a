"""How to reach a Kubernetes API: the configuration that the official client reads, and its credentials."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from ovnqos.diagnostics import listed
from ovnqos.errors import OvnQosError
from ovnqos.kubernetes.client import KubernetesClient
from ovnqos.kubernetes.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kubernetes.client import Configuration

_NOT_INSTALLED: Final = "Kubernetes: the Python package kubernetes is not installed; install ovnqos[kubernetes]"


class KubernetesConfigurationError(OvnQosError):
    """There is no configuration for a Kubernetes API, or it cannot be used."""


def connect(
    kubeconfig: Path | None = None, *, context: str | None = None, user_agent: str = "ovnqos"
) -> KubernetesClient:
    """Make a client; nothing is sent yet.

    Args:
        kubeconfig: the file to use. None: what `$KUBECONFIG` names, else the service account when this process runs in
            a pod and no context is given, else `~/.kube/config`.
        context: the kubeconfig's context to use; None: its current one.
        user_agent: how requests name this program.

    Raises:
        KubernetesConfigurationError: there is no configuration, it cannot be used, or the Python package `kubernetes`
            is not installed.
    """
    try:
        from kubernetes import config  # noqa: PLC0415 # it takes half a second to load, and is an extra
        from kubernetes.client import Configuration  # noqa: PLC0415 # likewise
        from kubernetes.config import incluster_config, kube_config  # noqa: PLC0415 # likewise
    except ImportError as error:
        raise KubernetesConfigurationError(_NOT_INSTALLED) from error
    configuration = Configuration()
    source = str(kubeconfig) if kubeconfig is not None else kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG")
    loader: incluster_config.InClusterConfigLoader | kube_config.KubeConfigLoader
    try:
        if kubeconfig is None and context is None and in_pod:
            source = name = "the service account"
            token_file: Path | None = Path(incluster_config.SERVICE_TOKEN_FILENAME)
            loader = incluster_config.InClusterConfigLoader(  # type: ignore[no-untyped-call]  # kubernetes has no type for it
                token_filename=str(token_file), cert_filename=incluster_config.SERVICE_CERT_FILENAME
            )
        else:
            merger = kube_config.KubeConfigMerger(source)  # type: ignore[no-untyped-call]  # likewise
            _check_kubeconfig(source, merger.config, context)
            loader = kube_config.KubeConfigLoader(  # type: ignore[no-untyped-call]  # likewise
                config_dict=merger.config, active_context=context, config_base_path=None
            )
            token_file = _token_file(loader.current_context, merger.config)
            name = f"context {loader.current_context['name']}"
        credentials = Credentials(configuration, load=loader.load_and_set, token_file=token_file)
        return KubernetesClient(configuration, user_agent=user_agent, authorize=credentials.authorization, name=name)
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        raise KubernetesConfigurationError(f"Kubernetes: {source}: {one_line(error)}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # the loader checks little of the file's shape
        raise KubernetesConfigurationError(f"Kubernetes: {source}: malformed: {one_line(error)}") from None


def context_names(kubeconfig: Path | None = None) -> list[str]:
    """The names of a kubeconfig's contexts, with the arguments of `connect`; raises KubernetesConfigurationError."""
    try:
        from kubernetes import config  # noqa: PLC0415 # see connect

        found, _ = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]  # kubernetes has no type for it
            str(kubeconfig) if kubeconfig is not None else None
        )
        return [str(one["name"]) for one in found]
    except ImportError as error:
        raise KubernetesConfigurationError(_NOT_INSTALLED) from error
    except Exception as error:  # the loader checks little of the file's shape
        raise KubernetesConfigurationError(f"Kubernetes: {one_line(error)}") from None


def _check_kubeconfig(source: str, merged: Any, context: str | None) -> None:
    """Raise KubernetesConfigurationError where there is no file, or no context of this name in it."""
    if merged is None:
        raise KubernetesConfigurationError(f"Kubernetes: {source}: no such file")
    if context is not None:
        names = [str(one["name"]) for one in merged.safe_get("contexts") or ()]
        if context not in names:
            known = f"use {listed(names)}" if names else "there is none"
            raise KubernetesConfigurationError(f"Kubernetes: {source}: no context {context}; {known}")


def _token_file(context: Mapping[str, Any], merged: Any) -> Path | None:
    """The `tokenFile` of a context's user, relative to the kubeconfig that has it; None where there is none."""
    user = context["context"].get("user")
    entry = merged["users"].get_with_name(user, safe=True) if user and merged.safe_get("users") else None
    found = entry["user"].safe_get("tokenFile") if entry is not None and entry["user"] else None
    return Path(entry.path).absolute().parent / found if isinstance(found, str) and entry is not None else None


class _LoaderErrors(logging.Handler):
    """What the official client's loader of kubeconfigs logs as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "kube_config":
            self.texts.append(record.getMessage())


@contextmanager
def _logged_errors_raised() -> Iterator[None]:
    """Raise ConfigException where the loader only logs: a credential program failed, and requests would go without."""
    from kubernetes.config import ConfigException  # noqa: PLC0415 # see connect

    handler = _LoaderErrors()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    if handler.texts:
        raise ConfigException(f"the user's credential program failed: {handler.texts[0].removeprefix('exec: ')}")


class Credentials:
    """The bearer token of a configuration, read anew when its file changes. Threads may share it."""

    def __init__(
        self, configuration: Configuration, *, load: Callable[[Configuration], None], token_file: Path | None
    ) -> None:
        """Load the configuration.

        Args:
            configuration: of the official client.
            load: fills it in; it reads the token, or runs the program that prints it.
            token_file: where the token is from, if from a file.
        """
        self._configuration = configuration
        self._load = load
        self._token_file = token_file
        self._lock = threading.Lock()
        self._version = self._file_version()
        with _logged_errors_raised():
            load(configuration)

    def authorization(self, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        """The header of a request; none where there is no token.

        Args:
            refused: the headers of a request that was refused for its token, which is then read again at once.

        Raises:
            ConfigException: of the official client: there are no credentials.
            OSError: likewise.
        """
        with self._lock, _logged_errors_raised():  # it may run the kubeconfig's credential program
            version = self._file_version()
            if refused is not None or version not in (None, self._version):
                self._load(self._configuration)
                self._version = version
            bearer = self._configuration.auth_settings().get("BearerToken")
        return {bearer["key"]: bearer["value"].strip()} if bearer is not None and bearer["value"] else {}

    def _file_version(self) -> object:
        """What differs between two versions of the file; None where there is none, or not at this moment."""
        if self._token_file is None:
            return None
        try:
            found = self._token_file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
