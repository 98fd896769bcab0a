"""From one way to say the QoS of pods to another: pod annotations, NetworkQoS, and ovn-kubernetes' EgressQoS.

Pure: model in, model and remarks out. What is converted has the same effect, which includes what is left as it was.
"""

from ovnqos.convert.annotation_documents import annotate_commands, annotation_documents
from ovnqos.convert.annotations import to_annotations
from ovnqos.convert.conversion import (
    AnnotationConversion,
    ClusterObjects,
    LimitedObject,
    NetworkQoSConversion,
    Part,
    Remark,
    Replacement,
)
from ovnqos.convert.network_qos import to_network_qos
from ovnqos.convert.network_qos_document import network_qos_document

__all__ = [
    "AnnotationConversion",
    "ClusterObjects",
    "LimitedObject",
    "NetworkQoSConversion",
    "Part",
    "Remark",
    "Replacement",
    "annotate_commands",
    "annotation_documents",
    "network_qos_document",
    "to_annotations",
    "to_network_qos",
]
