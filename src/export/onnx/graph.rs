//! A graph in the making: values by unique names, constants, inputs, outputs.
//!
//! Knows ONNX's messages and no layer.

use std::collections::BTreeMap;

use super::proto::{
    Attribute, AttributeType, DataType, Dimension, Graph, Node, Shape, Size, Tensor, TensorType,
    ValueInfo, ValueType,
};

/// Behind the name of a state: what it will be.
pub const NEXT: &str = ".next";

/// One size of an input or an output.
#[derive(Clone, Copy, Debug)]
pub enum Dim {
    Fixed(usize),
    /// Known when the graph runs.
    Named(&'static str),
}

/// A graph in the making.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
    /// How often each name was asked for.
    names: BTreeMap<String, usize>,
}

impl Builder {
    /// A node with one output, which is named as the node is; the value's name.
    pub fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let mut outputs = self.node_of(op, name, inputs, attributes, &[""]);
        outputs.remove(0)
    }

    /// A node with an output for each suffix of its name; the values' names.
    pub fn node_of(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
        suffixes: &[&str],
    ) -> Vec<String> {
        let name = self.unique(name);
        let outputs: Vec<String> = suffixes
            .iter()
            .map(|suffix| format!("{name}{suffix}"))
            .collect();
        self.graph.node.push(Node {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: outputs.clone(),
            name,
            op_type: op.to_owned(),
            attribute: attributes,
        });
        outputs
    }

    /// A constant of 32-bit floats, row-major.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, shape, DataType::Float, bytes.collect())
    }

    /// A constant vector of integers.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, &[values.len()], DataType::Int64, bytes.collect())
    }

    /// One integer without axes.
    pub fn scalar(&mut self, name: &str, value: i64) -> String {
        self.constant(name, &[], DataType::Int64, value.to_le_bytes().to_vec())
    }

    fn constant(
        &mut self,
        name: &str,
        shape: &[usize],
        data_type: DataType,
        raw_data: Vec<u8>,
    ) -> String {
        let name = self.unique(name);
        self.graph.initializer.push(Tensor {
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type: data_type.into(),
            name: name.clone(),
            raw_data,
        });
        name
    }

    /// An input of 32-bit floats under exactly that name.
    pub fn input(&mut self, name: &str, shape: &[Dim], doc: &str) -> String {
        let taken = self.names.insert(name.to_owned(), 1);
        debug_assert!(taken.is_none(), "two inputs named {name}");
        self.graph.input.push(value_info(name, shape, doc));
        name.to_owned()
    }

    /// An output of 32-bit floats under exactly that name: a copy of a value.
    pub fn output(&mut self, name: &str, of: &str, shape: &[Dim], doc: &str) {
        let copy = self.node("Identity", name, &[of], vec![]);
        debug_assert_eq!(copy, name, "two values of one name");
        self.graph.output.push(value_info(name, shape, doc));
    }

    /// The graph under a name.
    pub fn finish(mut self, name: &str) -> Graph {
        self.graph.name = name.to_owned();
        // Answers first, states behind them.
        let outputs = &mut self.graph.output;
        outputs.sort_by_key(|output| output.name.ends_with(NEXT));
        self.graph
    }

    /// The name, or the name with a number behind it where it was given away.
    fn unique(&mut self, name: &str) -> String {
        let n_uses = self.names.entry(name.to_owned()).or_default();
        *n_uses += 1;
        match *n_uses {
            1 => name.to_owned(),
            n => {
                let numbered = format!("{name}.{n}");
                self.unique(&numbered)
            }
        }
    }
}

fn value_info(name: &str, shape: &[Dim], doc: &str) -> ValueInfo {
    let dim = |dim: &Dim| Dimension {
        size: Some(match *dim {
            Dim::Fixed(n) => Size::Value(n as i64),
            Dim::Named(name) => Size::Named(name.to_owned()),
        }),
    };
    ValueInfo {
        name: name.to_owned(),
        kind: Some(ValueType {
            tensor_type: Some(TensorType {
                elem_type: DataType::Float.into(),
                shape: Some(Shape {
                    dim: shape.iter().map(dim).collect(),
                }),
            }),
        }),
        doc_string: doc.to_owned(),
    }
}

pub fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        i: value,
        ..attribute(name, AttributeType::Int)
    }
}

pub fn ints(name: &str, values: &[usize]) -> Attribute {
    Attribute {
        ints: values.iter().map(|&value| value as i64).collect(),
        ..attribute(name, AttributeType::Ints)
    }
}

pub fn text(name: &str, value: &str) -> Attribute {
    Attribute {
        s: value.as_bytes().to_vec(),
        ..attribute(name, AttributeType::Text)
    }
}

pub fn body(name: &str, graph: Graph) -> Attribute {
    Attribute {
        g: Some(graph),
        ..attribute(name, AttributeType::Graph)
    }
}

fn attribute(name: &str, kind: AttributeType) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind: kind.into(),
        ..Attribute::default()
    }
}
