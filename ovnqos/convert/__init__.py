"""From one way to express the QoS of pods to another: pod annotations, NetworkQoS, and ovn-kubernetes' EgressQoS.

Pure: model in, model and diagnostics out. What is converted has the same effect beside all that is not converted.
"""

from ovnqos.convert.annotations import to_annotations
from ovnqos.convert.conversion import AnnotatedObject, AnnotationConversion, NetworkQoSConversion, Part, Replacement
from ovnqos.convert.documents import annotate_commands, annotation_documents, network_qos_document
from ovnqos.convert.network_qos import to_network_qos

__all__ = [
    "AnnotatedObject",
    "AnnotationConversion",
    "NetworkQoSConversion",
    "Part",
    "Replacement",
    "annotate_commands",
    "annotation_documents",
    "network_qos_document",
    "to_annotations",
    "to_network_qos",
]
