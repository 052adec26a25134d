#!/usr/bin/env bash
# The commands of lambda.oxoflow, typed by hand: $1 holds the reads and the genome.
set -euo pipefail
mkdir -p ref trim map calls
gzip -dc "$1/lambda_virus.fa.gz" >ref/lambda.fa
bwa index ref/lambda.fa
for s in even odd; do
    fastp -w 2 -i "$1/${s}_1.fq.gz" -I "$1/${s}_2.fq.gz" -o "trim/${s}_1.fq.gz" \
        -O "trim/${s}_2.fq.gz" --json "trim/$s.json" --html "trim/$s.html"
    bwa mem -t 2 -R "@RG\tID:$s\tSM:$s" ref/lambda.fa "trim/${s}_1.fq.gz" "trim/${s}_2.fq.gz" |
        samtools sort -o "map/$s.bam" -
    samtools flagstat "map/$s.bam" >"map/$s.flagstat"
    bcftools mpileup -Ou -f ref/lambda.fa "map/$s.bam" |
        bcftools call -mv --ploidy 1 -Oz -o "calls/$s.vcf.gz"
done
for s in even odd; do bcftools view -H "calls/$s.vcf.gz"; done >calls/all.records
