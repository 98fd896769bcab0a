// Compiles the CEL rules of a CustomResourceDefinition as the API server of a given Kubernetes version would:
//
//	crd-rules VERSION < crd.yaml        such as 1.31
//
// Prints each rule's place and its worst-case cost in a whole object (cost units), and ends with 1 where one does not
// compile or costs more than an API server accepts.
package main

import (
	"fmt"
	"io"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "crd-rules:", err)
		os.Exit(1)
	}
}

func main() {
	served, err := version.ParseGeneric(os.Args[1])
	must(err)
	text, err := io.ReadAll(os.Stdin)
	must(err)
	var crd apiextensionsv1.CustomResourceDefinition
	must(yaml.UnmarshalStrict(text, &crd))
	// an API server takes no expression that its previous minor version would not know, so that it can be rolled back
	known := environment.MustBaseEnvSet(version.MajorMinor(served.Major(), served.Minor()-1))
	failed := false
	for _, one := range crd.Spec.Versions {
		var props apiextensions.JSONSchemaProps
		must(apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(one.Schema.OpenAPIV3Schema, &props, nil))
		failed = compile(&props, validation.RootCELContext(&props), known, one.Name) || failed
	}
	if failed {
		os.Exit(1)
	}
}

// compile compiles the rules of a part of the schema and of all parts below it; it says whether one is refused.
func compile(part *apiextensions.JSONSchemaProps, context *validation.CELSchemaContext, known *environment.EnvSet, path string) bool {
	failed := false
	structural, err := schema.NewStructural(part)
	must(err)
	declared := model.SchemaDeclType(structural, false)
	results, err := cel.Compile(structural, declared, celconfig.PerCallLimit, known, cel.NewExpressionsEnvLoader())
	must(err)
	for i, result := range results {
		rule := part.XValidations[i].Rule
		if result.Error != nil {
			fmt.Printf("%s: %s: %v\n", path, rule, result.Error)
			failed = true
			continue
		}
		times := result.MaxCardinality
		if context.MaxCardinality != nil {
			times = *context.MaxCardinality
		}
		fmt.Printf("%s: %s: cost %d\n", path, rule, result.MaxCost*times)
		failed = failed || result.MaxCost*times > validation.StaticEstimatedCostLimit
	}
	for name, one := range part.Properties {
		failed = compile(&one, context.ChildPropertyContext(&one, name), known, path+"."+name) || failed
	}
	if part.Items != nil && part.Items.Schema != nil {
		failed = compile(part.Items.Schema, context.ChildItemsContext(part.Items.Schema), known, path+"[]") || failed
	}
	return failed
}
