//! The rule of an ensemble: the members' logits to one row of probabilities.

use super::ExportError;
use super::graph::{Builder, Dim, int, ints};
use crate::bundle::Bundle;
use crate::model::{Combination, Mixture};

/// Adds the outputs `logits` `[n_members, n_classes]` and `probabilities` `[1, n_classes]`.
pub fn write(graph: &mut Builder, bundle: &Bundle, logits: &[String]) -> Result<(), ExportError> {
    let (n_members, n_classes) = (logits.len(), bundle.labels.len());
    if n_members == 0 {
        return Err(ExportError::NoMember);
    }
    let by_weight = || Combination::WeightedProbabilities {
        weights: bundle.members.iter().map(|member| member.weight).collect(),
    };
    let rule = bundle.mixture.clone().unwrap_or_else(by_weight);
    rule.validate(n_members, n_classes)?;
    let parts: Vec<&str> = logits.iter().map(String::as_str).collect();
    let all = match parts[..] {
        [only] => only.to_owned(),
        _ => graph.node("Concat", "ensemble.members", &parts, vec![int("axis", 0)]),
    };
    let dims = [n_members, n_classes].map(Dim::Fixed);
    graph.output(
        "logits",
        &all,
        &dims,
        "each member's answer before the softmax",
    );
    let probabilities = Rule {
        graph,
        n_members,
        n_classes,
    }
    .probabilities(&rule, &all);
    let dims = [1, n_classes].map(Dim::Fixed);
    let doc = "of each class, in the order of the labels in the metadata";
    graph.output("probabilities", &probabilities, &dims, doc);
    Ok(())
}

struct Rule<'a> {
    graph: &'a mut Builder,
    n_members: usize,
    n_classes: usize,
}

impl Rule<'_> {
    fn probabilities(&mut self, rule: &Combination, logits: &str) -> String {
        match rule {
            Combination::MeanProbabilities => {
                let each = self.softmax("ensemble.each", logits);
                self.mean(&each)
            }
            Combination::WeightedProbabilities { weights } => {
                let each = self.softmax("ensemble.each", logits);
                let total: f32 = weights.iter().sum();
                let shares: Vec<f32> = weights.iter().map(|weight| weight / total).collect();
                let shares = self
                    .graph
                    .floats("ensemble.shares", &[self.n_members, 1], &shares);
                self.weighted_sum(&each, &shares)
            }
            Combination::MeanLogits => {
                let mean = self.mean(logits);
                self.softmax("ensemble.softmax", &mean)
            }
            Combination::WeightedLogits { mixture, bias } => {
                let mut sum = self.mixed(mixture, logits);
                if !bias.is_empty() {
                    let bias = self
                        .graph
                        .floats("ensemble.bias", &[1, self.n_classes], bias);
                    sum = self.node("Add", "ensemble.biased", &[&sum, &bias]);
                }
                self.softmax("ensemble.softmax", &sum)
            }
        }
    }

    /// `[1, n_classes]` by weights a member, a member and class, or matrices.
    fn mixed(&mut self, mixture: &Mixture, logits: &str) -> String {
        let (n_members, n_classes) = (self.n_members, self.n_classes);
        let n_logits = n_members * n_classes;
        let (weights, dims) = match mixture {
            Mixture::Scalar(weights) => (weights, [n_members, 1]),
            Mixture::Vector(weights) => (weights, [n_members, n_classes]),
            Mixture::Matrix(weights) => (weights, [n_logits, n_classes]),
        };
        let weights = self.graph.floats("ensemble.weights", &dims, weights);
        if let Mixture::Scalar(_) | Mixture::Vector(_) = mixture {
            return self.weighted_sum(logits, &weights);
        }
        let shape = self.graph.ints("ensemble.row.shape", &[1, n_logits as i64]);
        let row = self.node("Reshape", "ensemble.row", &[logits, &shape]);
        self.node("MatMul", "ensemble.sum", &[&row, &weights])
    }

    fn weighted_sum(&mut self, rows: &str, weights: &str) -> String {
        let parts = self.node("Mul", "ensemble.parts", &[rows, weights]);
        let axes = self.graph.ints("ensemble.axes", &[0]);
        self.node("ReduceSum", "ensemble.sum", &[&parts, &axes])
    }

    fn mean(&mut self, rows: &str) -> String {
        let axes = vec![ints("axes", &[0])];
        self.graph
            .node("ReduceMean", "ensemble.mean", &[rows], axes)
    }

    fn softmax(&mut self, name: &str, rows: &str) -> String {
        self.graph
            .node("Softmax", name, &[rows], vec![int("axis", 1)])
    }

    fn node(&mut self, op: &str, name: &str, inputs: &[&str]) -> String {
        self.graph.node(op, name, inputs, vec![])
    }
}
